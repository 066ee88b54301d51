"""Workers over the wire: which processes there are, and what each is at."""

from datetime import datetime

from pydantic import BaseModel, Field


class WorkerJob(BaseModel):
    """What a worker is at. Of projects that the caller does not review it is said that it is one, and no more."""

    id: int | None = Field(description="The job's number.", examples=[7])
    kind: str | None = Field(description="Its kind.", examples=["pretrain"])
    project_id: int | None = Field(description="The number of its project.", examples=[1])
    project: str = Field(description="The name of its project, or `another project`.", examples=["streets"])
    progress: float | None = Field(description="How far it is, from 0 to 1.", examples=[0.4])
    message: str | None = Field(description="What it is doing.", examples=["Epoch 12, mIoU 0.41"])


class WorkerOut(BaseModel):
    """A worker's process."""

    id: int = Field(description="The number of its row.", examples=[3])
    name: str = Field(description="By which it is told from others.", examples=["gpu-1:4242:0f3b9a1c"])
    host: str | None = Field(description="The machine that it runs on.", examples=["gpu-1"])
    queues: list[str] = Field(description="The queues that it takes jobs from.", examples=[["rounds", "cpu", "gpu"]])
    missing: list[str] = Field(
        description="Beginnings of the names of segmenters that it cannot build.", examples=[["smp:"]]
    )
    started_at: datetime = Field(description="Since when it runs.")
    seen_at: datetime | None = Field(description="When it was last heard of.")
    alive: bool = Field(description="Whether that was within a minute.", examples=[True])
    job: WorkerJob | None = Field(description="What it is at; null: nothing.")
