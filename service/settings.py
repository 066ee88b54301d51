"""Every setting of the service, with its default; each is set by a REGIONWISE_* variable."""

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.job_kinds import QUEUES
from service.file_urls import kept_url, sqlite_url


class Settings(BaseSettings):
    """Read from the environment: REGIONWISE_DATABASE_URL and so on."""

    # Errors do not repeat what was given: some of it is secret.
    model_config = SettingsConfigDict(env_prefix="REGIONWISE_", hide_input_in_errors=True)

    data_dir: Path = Field(Path("data"), description="Where the embedded database and the blobs live.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite at DATA_DIR/regionwise.db.")
    database_connections: int = Field(
        10, ge=2, description="PostgreSQL connections that one process of the API or a worker holds at most."
    )
    blob_url: str = Field("", description="fsspec URL of images and checkpoints; empty: DATA_DIR/blobs.")
    signed_seconds: int = Field(
        0,
        ge=0,
        le=3600,
        description="Of blobs in S3: GET /images/ID/file sends callers to an address there that holds for so long; 0: never.",
    )
    broker_url: str = Field("memory://", description="Celery broker; memory:// runs the worker inside the API process.")
    secret: SecretStr = Field(
        SecretStr(""),
        description="Keys the proofs of leases, 32 characters or more, the same for every process of the API; empty: one that "
        "the service makes and keeps in its database.",
    )
    first_admin: str = Field(
        "",
        max_length=100,
        description="Name of an admin whom `serve` adds where there is none; empty: nobody.",
    )
    first_admin_token: SecretStr = Field(
        SecretStr(""),
        description="That admin's token, 32 characters or more, of which the hash is kept; empty: one is made, and printed once.",
    )
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, description="Port that the API listens on.")
    log_format: Literal["text", "json"] = Field("text", description="How lines of the log are written: text or json.")
    metrics_token: str = Field(
        "", description="A token for GET /metrics alone, beside those of reviewers and admins; empty: there is none."
    )
    min_free_bytes: int = Field(
        256 << 20,
        ge=0,
        description="With less free on a disk of this machine's data, GET /readyz says that it is not ready.",
    )
    measure_seconds: float = Field(
        3600.0, gt=0, description="How often the bytes of blobs and database are measured, for GET /metrics."
    )
    lease_minutes: float = Field(15.0, gt=0, description="How long an annotator keeps a region without renewing it.")
    max_image_bytes: int = Field(64 << 20, gt=0, description="Largest image file that an upload may hold.")
    max_image_pixels: int = Field(64_000_000, gt=0, description="Largest image, in pixels, that is decoded.")
    max_request_bytes: int = Field(512 << 20, gt=0, description="Largest request body of an image upload.")
    max_json_bytes: int = Field(
        16 << 20, gt=0, description="Largest request body of labels and of a policy's upload; others hold 256 KiB."
    )
    body_seconds: float = Field(30.0, gt=0, description="How long a request's body may take to come...")
    body_bytes_per_second: int = Field(16 << 10, gt=0, description="...and a second more for each so many bytes of it.")
    header_seconds: float = Field(10.0, gt=0, description="How long a request's headers may take to come.")
    max_connections: int = Field(
        512,
        ge=8,
        description="Connections of an API process, where it may open twice as many files; one more closes one that waits.",
    )
    max_connections_per_address: int = Field(
        256, ge=4, description="Those of one address, unless it is a trusted proxy."
    )
    wrong_tokens_per_minute: int = Field(20, ge=1, description="Wrong tokens that are taken from an address.")
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks whose X-Forwarded headers are believed, as a JSON list; empty: nobody's."
    )
    reference_prefixes: tuple[str, ...] = Field(
        (),
        description="URLs below which images may stay where they are and be read from there, as a JSON list; empty: nowhere.",
    )
    session_hours: float = Field(12.0, gt=0, le=8760, description="How long a browser stays logged in.")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the API with a token, as a JSON list; empty: none but its own."
    )
    queues: str = Field(
        ",".join(QUEUES),
        description="Queues of a worker, with commas: rounds (ask, tell), cpu (train-policy, evaluate), gpu (pretrain, finish).",
    )
    device: str = Field("auto", description="Torch device of a worker: auto, cpu, cuda, cuda:1.")
    encoder_weights: Path | None = Field(
        None,
        description="A file of pretrained encoder weights, or a folder of them; none: those of the installed packages.",
    )
    feature_dir: Path | None = Field(
        None, description="Where a worker keeps what frozen encoders saw of images; none: DATA_DIR/features."
    )
    feature_disk_bytes: int = Field(20 << 30, gt=0, description="Largest size of that folder.")
    feature_memory_bytes: int = Field(2 << 30, gt=0, description="As much of it is kept in a worker's memory.")
    threads: int = Field(0, ge=0, description="Torch threads of a worker; 0: as many as there are cores.")
    players: int = Field(
        0,
        ge=0,
        description="Processes that play the games of a policy's search side by side, of about 1 GiB each; 0: one per core, but "
        "no more than 8, and on a GPU none.",
    )
    slice_seconds: float = Field(20.0, gt=0, description="A training job yields to waiting rounds this often.")
    heartbeat_seconds: float = Field(
        2.0, gt=0, description="How often a running job says that it is alive and asks if it is to stop."
    )
    stale_seconds: float = Field(
        120.0, gt=0, description="A running job silent for this long is given to another worker."
    )
    sweep_seconds: float = Field(5.0, gt=0, description="How often forgotten jobs are looked for.")
    max_attempts: int = Field(3, ge=1, description="How often a failing job is tried.")
    retry_seconds: float = Field(60.0, gt=0, description="Longest wait before a job that failed is tried again.")

    keep_days: float = Field(
        30.0, gt=0, description="How long leases that ended, and what failed jobs would go on from, are kept."
    )
    event_days: float = Field(
        365.0, ge=0, description="Months of events that are older move from the database to the blobs; 0: never."
    )
    stray_hours: float = Field(
        24.0,
        ge=1,
        description="Bytes that no row names are removed when they are older; an upload must not take longer.",
    )

    @field_validator("first_admin_token")
    @classmethod
    def _is_long(cls, token: SecretStr) -> SecretStr:
        said = token.get_secret_value()
        if said and (len(said) < 32 or not all("!" <= each <= "~" for each in said)):
            raise ValueError("It needs 32 characters or more, without blanks: `openssl rand -hex 32` makes some.")
        return token

    @field_validator("queues")
    @classmethod
    def _are_queues(cls, queues: str) -> str:
        named = [each.strip() for each in queues.split(",") if each.strip()]
        if not named or not set(named) <= set(QUEUES):
            raise ValueError(
                f"{queues!r} is no list of queues; they are {', '.join(QUEUES)}, with commas between them."
            )
        return ",".join(each for each in QUEUES if each in named)

    @field_validator("reference_prefixes")
    @classmethod
    def _are_urls(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        for each in prefixes:
            if not each.partition("://")[2].strip("/"):
                raise ValueError(f"{each!r} is no URL with a bucket or folder in it, such as s3://bucket/images.")
        return prefixes

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for each in proxies:
            try:
                ip_network(each, strict=False)
            except ValueError as error:
                raise ValueError(f"{each!r} is no address or network, such as 10.0.0.7 or 172.16.0.0/12.") from error
        return proxies

    @property
    def resolved_database_url(self) -> str:
        """The database to use: the one named, else the embedded one."""
        return self.database_url or sqlite_url(self.data_dir / "regionwise.db")

    @property
    def resolved_blob_url(self) -> str:
        """Where blobs go: the place named, else a folder beside the embedded database."""
        return self.blob_url or kept_url(self.data_dir / "blobs")

    @property
    def resolved_feature_dir(self) -> Path:
        """Where features go: the folder named, else one beside the embedded database."""
        return self.feature_dir or self.data_dir / "features"

    @property
    def taken_queues(self) -> tuple[str, ...]:
        """The queues that a worker takes jobs from."""
        return tuple(self.queues.split(","))

    @property
    def embedded(self) -> bool:
        """Whether the worker lives inside the API process."""
        return self.broker_url.startswith("memory:")


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
