"""Jobs over the wire: what each kind takes, and how it goes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from service.domain.doubts import said_of
from service.domain.job_kinds import JOB_KINDS, LineLevel
from service.schemas.fields import Input
from service.schemas.policies import PolicyPayload

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class ConvergePayload(Input):
    """Training until mIoU on the reward images stops rising."""

    max_epochs: int = Field(100, ge=1, le=10_000, description="Passes over the images at most.")
    patience: int = Field(20, ge=1, le=10_000, description="Epochs without a better score before it stops.")
    learning_rate: float = Field(1e-2, gt=0, le=10, description="Of SGD with momentum 0.95.")
    batch: int = Field(16, ge=1, le=1024, description="Crops per gradient step.")


class PretrainPayload(ConvergePayload):
    """theta_0: a segmenter for the first round, trained on the split `train`."""

    source: Literal["auto", "streets", "half", "none"] = Field(
        "auto",
        description="Where the policy's game starts from: synthetic streets (for projects with their 11 classes), one half "
        "of the split `train` (the game is then played on the other half), or fresh weights. auto: streets where they fit.",
    )
    source_images: int = Field(400, ge=8, le=100_000, description="Synthetic scenes to train on.")
    source_epochs: int = Field(30, ge=1, le=10_000, description="Passes over the source images at most.")


class FinishPayload(ConvergePayload):
    """A final segmenter, trained to convergence on every labelled region; where the encoder is frozen, its head."""

    steps: int | None = Field(
        None,
        ge=1,
        le=300_000,
        description="Steps of the head's fit, where the encoder is frozen; none: twenty times the project's refit_steps.",
    )
    unfreeze: bool = Field(
        False,
        description="Go on to fine-tune the frozen encoder, where that measures better on the reward images.",
    )
    tuning_steps: int = Field(
        1500, ge=1, le=100_000, description="Steps of that, each on 8 crops: a second and a half on two cores."
    )


class EvaluatePayload(Input):
    """mIoU of a checkpoint on a split."""

    split: Literal["test", "reward"] = Field("test", description="Images with label maps to measure on.")
    checkpoint: Literal["segmenter", "final", "source"] = Field("segmenter", description="The newest of this kind.")


class PretrainRequest(Input):
    """Start a pretrain job."""

    kind: Literal["pretrain"]
    settings: PretrainPayload = PretrainPayload()


class PolicyRequest(Input):
    """Start a train-policy job."""

    kind: Literal["train-policy"]
    settings: PolicyPayload = PolicyPayload()


class FinishRequest(Input):
    """Start a finish job."""

    kind: Literal["finish"]
    settings: FinishPayload = FinishPayload()


class EvaluateRequest(Input):
    """Start an evaluate job."""

    kind: Literal["evaluate"]
    settings: EvaluatePayload = EvaluatePayload()


JobRequest = Annotated[PretrainRequest | PolicyRequest | FinishRequest | EvaluateRequest, Field(discriminator="kind")]


class JobOut(BaseModel):
    """A job and how it goes."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The job's number.", examples=[7])
    project_id: int = Field(description="Whose job it is.", examples=[1])
    kind: str = Field(description=f"{', '.join(JOB_KINDS)}.", examples=["pretrain"])
    state: JobState = Field(description="queued, running, done, failed or cancelled.", examples=["running"])
    progress: float = Field(description="How far it is, from 0 to 1.", examples=[0.4])
    message: str = Field(description="What it is doing.", examples=["Epoch 12, mIoU 0.41"])
    result: dict[str, Any] | None = Field(description="What it brought, once it is done.")
    error: str | None = Field(description="Why the last try failed.", examples=[None])
    attempt: int = Field(description="Tries since it last made progress.", examples=[1])
    cancel_requested: bool = Field(description="Whether somebody asked it to stop.", examples=[False])
    created_at: datetime = Field(description="When it was asked for.")
    started_at: datetime | None = Field(description="When a worker first took it, since it was last tried again.")
    heartbeat_at: datetime | None = Field(
        description="When its worker was last heard of; of a queued job that was sent again, since when it waits for one."
    )
    finished_at: datetime | None = Field(description="When it ended.")
    due_at: datetime | None = Field(
        description="When it is tried again, where it waits after a failure; `error` says why."
    )

    @computed_field(description="What is to be looked at though it is done; null: nothing.", examples=[None])  # type: ignore[prop-decorator]
    @property
    def warning(self) -> str | None:
        """From the result, where it has one."""
        return said_of(self.result) or None


class JobLineOut(BaseModel):
    """A line of a job's log."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The line's number, higher than those of lines before it.", examples=[41])
    at: datetime = Field(description="When it was said.")
    level: LineLevel = Field(description="info, warning or error.", examples=["info"])
    text: str = Field(description="What was said.", examples=["Epoch 12, mIoU 0.41"])
