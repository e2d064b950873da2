"""People and their cards. Times are integers, µs since 1970 UTC."""

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text

from foundation.columns import Salvage

metadata = MetaData()

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("group_name", Text, index=True),
    Column("created_us", BigInteger, nullable=False),
    info={"salvage": Salvage("person")},
)


card = Table(
    "card",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # keyed digest of the card's number, see gateway.people.cards
    Column("ref", Text, nullable=False, unique=True),  # the digest's first 16 hex digits, to name the card by
    Column("person_id", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),  # devices.payloads.values.CredentialKind
    Column("created_us", BigInteger, nullable=False),
    info={"salvage": Salvage("card")},
)
