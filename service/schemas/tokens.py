"""Tokens over the wire: never the token itself but once, when it is made."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from service.schemas.fields import Input, Moment, Name
from service.tables import Token


class TokenIn(Input):
    """One more token."""

    name: Name = Field(description="What it is for.", examples=["laptop"])
    expires_in_days: int | None = Field(
        None, ge=1, le=3650, description="How long it works; null: until it is revoked.", examples=[90]
    )


class TokenOut(BaseModel):
    """A token, by what tells it from others."""

    id: int = Field(description="The token's number.", examples=[7])
    annotator_id: int = Field(description="Whose it is.", examples=[3])
    name: str = Field(description="What it is for.", examples=["laptop"])
    prefix: str = Field(description="How it begins; empty for tokens of earlier versions.", examples=["rw_x3Fa"])
    works: bool = Field(description="Whether it was not revoked and has not run out.", examples=[True])
    created_at: Moment = Field(description="When it was made.")
    last_used_on: date | None = Field(description="The day (UTC) on which it was used last.")
    expires_at: Moment | None = Field(description="When it runs out; null: never.")
    revoked_at: Moment | None = Field(description="When it was revoked.")


class TokenCreated(TokenOut):
    """A new token, which is never shown again."""

    token: str = Field(description="Send it as `Authorization: Bearer ...`; it is stored nowhere.", examples=["rw_..."])


def token_out(token: Token, now: datetime) -> TokenOut:
    """A token as the API shows it."""
    return TokenOut(
        id=token.id,
        annotator_id=token.annotator_id,
        name=token.name,
        prefix=token.prefix,
        works=token.revoked_at is None and (token.expires_at is None or token.expires_at > now),
        created_at=token.created_at,
        last_used_on=token.last_used_on,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
    )
