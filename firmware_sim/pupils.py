"""Who goes to the school: 1,000 pupils in 40 classes, with cards. Pure and seeded; every name is invented."""

import random
from dataclasses import dataclass

_GIVEN = (
    "Ada Alin Amira Anouk Aron Ayla Bela Bjarne Cato Cem Clara Dario Dina Edda Eli Elif Emre Enno Fadi Farah Finja "
    "Flora Gero Hanna Hedi Ida Ilias Imke Jaro Jella Jonte Juna Kaan Kasimir Kira Lale Lasse Leander Lene Levi Lilja "
    "Lorin Luana Mads Malin Marek Mira Nael Nele Nika Noam Nuri Oda Ole Orla Pia Piet Rafi Romy Runa Samir Selma "
    "Sena Sila Sontje Taio Tarek Thea Tilda Timo Ulla Veit Vera Wanda Wim Yara Younes Zelda Zita Zora"
)
_ONSETS = "Arn Bel Bran Dorn El Fal Gar Hol Ker Lind Mar Nor Os Quen Rav Sel Tarn Ul Ver Wil"
_ENDINGS = "aker berg brook dal esen feld gard hain ik low mund ner ow quist rood sted thal ung vik wald"

_GRADES = range(5, 13)
_CLASSES_A_GRADE = "abcde"
_QR_SHARE = 0.06
_NFC_SHARE = 0.14


@dataclass(frozen=True, slots=True)
class Card:
    """What a pupil holds to a reader. `kind` is uid, nfc or qr."""

    credential: str
    kind: str


@dataclass(frozen=True, slots=True)
class Pupil:
    """`punctual`: 0 is always late, 1 is always early."""

    name: str
    group: str
    card: Card
    punctual: float


def classes() -> list[str]:
    """The names of the 40 classes: 5a to 12e."""
    return [f"{grade}{letter}" for grade in _GRADES for letter in _CLASSES_A_GRADE]


def enrolled(seed: int, count: int = 1000) -> list[Pupil]:
    """`count` pupils, dealt out evenly to the classes. Names and cards are all different."""
    rng = random.Random(f"{seed}/pupils")
    groups = classes()
    families = [onset + ending for onset in _ONSETS.split() for ending in _ENDINGS.split()]
    names = [f"{given} {family}" for given in _GIVEN.split() for family in families]
    serials = rng.sample(range(1 << 40), count)
    return [
        Pupil(name, groups[i % len(groups)], _card(rng, serial), rng.betavariate(6, 2))
        for i, (name, serial) in enumerate(zip(rng.sample(names, count), serials, strict=True))
    ]


def _card(rng: random.Random, serial: int) -> Card:
    draw = rng.random()
    if draw < _QR_SHARE:
        return Card(f"SCHOOL-{serial:012X}", "qr")
    uid = f"04{serial:010X}80"  # seven bytes, the first of them an NXP chip's
    return Card(uid, "nfc" if draw < _QR_SHARE + _NFC_SHARE else "uid")
