"""Models for FastAPI from structs: a further kind of a thing is a struct, and nothing else."""

from enum import StrEnum
from typing import Annotated, Any, get_args

import msgspec
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.fields import Body
from api.routes.rules import GIVEN, KINDS
from api.structs import changed_model, new_model, one_of, shown_model
from gateway.alerts.rules import Rule


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class _Thing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: str
    colour: Colour = Colour.RED


class Lamp(_Thing, frozen=True, kw_only=True, tag="lamp"):
    """Gives light.

    Not for the document.
    """

    watts: Annotated[float, msgspec.Meta(gt=0, le=100)]
    places: list[Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]] = []


class Chair(_Thing, frozen=True, kw_only=True, tag="chair"):
    """Carries somebody."""

    watts: Annotated[float, msgspec.Meta(ge=500)] = 500.0
    owner: Annotated[str | None, msgspec.Meta(description="Whose it is")] = None


NEW: TypeAdapter[Any] = TypeAdapter(one_of([new_model(kind, Body, ("id",)) for kind in (Lamp, Chair)], "kind"))
CHANGED = changed_model("ChangedThing", "What to change.", (Lamp, Chair), Body, ("id",))


def test_what_creates_one_has_the_structs_fields_defaults_and_bounds() -> None:
    lamp = NEW.validate_python({"kind": "lamp", "watts": 5, "places": ["hall"]})
    assert lamp.model_dump() == {"kind": "lamp", "colour": "red", "watts": 5.0, "places": ["hall"]}
    assert NEW.validate_python({"kind": "chair", "colour": "blue"}).model_dump(exclude_none=True) == {
        "kind": "chair",
        "colour": "blue",
        "watts": 500.0,
    }


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "lamp"}, "watts"),
        ({"kind": "lamp", "watts": 0}, "watts"),
        ({"kind": "lamp", "watts": "5"}, "watts"),
        ({"kind": "lamp", "watts": 5, "places": ["Hall"]}, "places"),
        ({"kind": "lamp", "watts": 5, "colour": "green"}, "colour"),
        ({"kind": "lamp", "watts": 5, "id": "given"}, "id"),
        ({"kind": "lamp", "watts": 5, "owner": "me"}, "owner"),
        ({"kind": "table"}, ""),
        ({}, ""),
    ],
)
def test_what_the_struct_forbids_is_refused_and_named(given: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        NEW.validate_python(given)
    assert field in [*refused.value.errors()[0]["loc"], ""]


def test_a_change_may_have_any_field_of_any_kind_and_knows_which_it_has() -> None:
    change = CHANGED.model_validate({"watts": 600, "owner": None})
    assert change.model_dump(exclude_unset=True) == {"watts": 600.0, "owner": None}
    for wrong in ({"watts": 200}, {"colour": None}, {"kind": "table"}, {"height": 1}, {"id": "other"}):
        with pytest.raises(ValidationError):
            CHANGED.model_validate(wrong)


def test_the_document_has_names_words_and_every_field_that_is_shown() -> None:
    schema = new_model(Chair, Body, ("id",)).model_json_schema()
    assert (schema["title"], schema["description"]) == ("NewChair", "Carries somebody.")
    assert schema["required"] == ["kind"]
    assert schema["properties"]["owner"]["description"] == "Whose it is"
    shown = shown_model(Lamp).model_json_schema()
    assert (shown["title"], shown["description"]) == ("Lamp", "Gives light.")
    assert set(shown["required"]) == {"kind", "id", "colour", "watts", "places"}
    assert shown["properties"]["watts"] == {
        "exclusiveMinimum": 0,
        "maximum": 100,
        "title": "Watts",
        "type": "number",
    }


@pytest.mark.parametrize("kind", get_args(Rule))
def test_every_kind_of_rule_is_in_the_api(kind: type[msgspec.Struct]) -> None:
    assert kind in KINDS
    model: type[BaseModel] = new_model(kind, Body, GIVEN)
    assert set(model.model_fields) == {"kind", *kind.__struct_fields__} - set(GIVEN)
