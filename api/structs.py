"""Requests and answers whose shape a msgspec struct declares: their models for FastAPI are made from it.

So a thing of which there are kinds, each a struct with a tag, is declared once, where it belongs, with its bounds
(`msgspec.Meta`) and its words for the OpenAPI document (the first paragraph of its docstring).
"""

import enum
import inspect
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo
from pydantic import BaseModel, Field, create_model

Struct = type[msgspec.Struct]
Model = type[BaseModel]

BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")
WORDS: Final = ("title", "description", "examples")
"""What `msgspec.Meta` and pydantic's `Field` call by the same names."""


def new_model(struct: Struct, base: Model, without: Iterable[str]) -> Model:
    """Returns what a request that creates one has: its fields with their defaults, but `without` what it is given."""
    fields = {field.name: (_annotation(field.type), _default(field)) for field in _fields(struct, without)}
    return _model(f"New{struct.__name__}", base, struct, {**_tag([struct], ...), **fields})


def shown_model(struct: Struct) -> Model:
    """Returns what an answer that shows one has: every field, whether it was given or not."""
    fields = {field.name: (_annotation(field.type), ...) for field in _fields(struct, ())}
    return _model(struct.__name__, BaseModel, struct, {**_tag([struct], ...), **fields})


def changed_model(name: str, says: str, structs: Sequence[Struct], base: Model, without: Iterable[str]) -> Model:
    """Returns what a request that changes one, of whichever kind, may have: any of their fields. What is left out is
    not among the model's `model_fields_set`."""
    types_of: dict[str, list[Any]] = {}
    for struct in structs:
        for field in _fields(struct, without):
            found = types_of.setdefault(field.name, [])
            if field.type not in found:
                found.append(field.type)
    fields = {field: (Union[tuple(map(_annotation, found))], None) for field, found in types_of.items()}  # noqa: UP007 made at run time
    made: Model = create_model(name, __base__=base, __doc__=says, **{**_tag(structs, None), **fields})
    return made


def one_of(models: Sequence[Model], tag_field: str) -> Any:  # noqa: ANN401 a type
    """Returns the type of one of these, told apart by their tag."""
    return Annotated[Union[tuple(models)], Field(discriminator=tag_field)]  # noqa: UP007 made at run time


def _model(name: str, base: Model, struct: Struct, fields: dict[str, Any]) -> Model:
    says = (inspect.getdoc(struct) or "").partition("\n\n")[0]
    made: Model = create_model(name, __base__=base, __doc__=says, **fields)
    return made


def _fields(struct: Struct, without: Iterable[str]) -> list[FieldInfo]:
    return [field for field in msgspec.structs.fields(struct) if field.name not in without]


def _tag(structs: Sequence[Struct], default: Any) -> dict[str, Any]:  # noqa: ANN401 as pydantic's
    configs = [struct.__struct_config__ for struct in structs]
    return {str(configs[0].tag_field): (Literal[tuple(config.tag for config in configs)], default)}


def _default(field: FieldInfo) -> Any:  # noqa: ANN401 as pydantic's
    if field.required:
        return ...
    if field.default_factory is not msgspec.NODEFAULT:
        return Field(default_factory=field.default_factory)
    return field.default.value if isinstance(field.default, enum.Enum) else field.default


def _annotation(hint: Any) -> Any:  # noqa: ANN401 types
    """Returns the type as pydantic has it: an enum is its values, and bounds are pydantic's."""
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Literal[tuple(member.value for member in hint)]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner, *notes = arguments
        return Annotated[(_annotation(inner), *(_field(note) for note in notes if isinstance(note, msgspec.Meta)))]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_annotation, arguments))]  # noqa: UP007 made at run time
    if arguments and origin is not Literal:
        return origin[tuple(map(_annotation, arguments))]
    return hint


def _field(meta: msgspec.Meta) -> Any:  # noqa: ANN401 as pydantic's
    given = {name: getattr(meta, name) for name in BOUNDS + WORDS}
    return Field(**{name: value for name, value in given.items() if value is not None})
