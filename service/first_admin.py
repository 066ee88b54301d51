"""The first admin of a service that has none: added at its start, with a token from the settings or one that is made."""

from datetime import UTC, datetime

from service.auth import kept_of, new_token
from service.db import Database
from service.settings import Settings
from service.store.annotators import add_first_admin


def added(settings: Settings) -> list[str]:
    """Add them where the settings name one and there is none yet; returns what to say of it, once, a new token included.

    Of several processes that start at once, one adds and says it. Raises Conflict where somebody else has the name.
    """
    if not settings.first_admin:
        return []
    given = settings.first_admin_token.get_secret_value()
    token, database = given or new_token(), Database(settings.resolved_database_url)
    try:
        with database.write() as session:
            admin = add_first_admin(session, name=settings.first_admin, **kept_of(token), now=datetime.now(UTC))
    finally:
        database.engine.dispose()
    if admin is None:
        return []
    said = f"Added the first admin, {settings.first_admin}"
    if given:
        return [f"{said}, with the token of REGIONWISE_FIRST_ADMIN_TOKEN."]
    return [f"{said}. The token is shown only now: {token}"]
