"""The parts of an experiment's settings: how things are trained, and how own files are read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.fit import TrainSettings
from models.refit import RefitSettings
from service.domain.label_readings import LabelReading
from service.domain.readings import Reading
from workers.datasets.folder import FolderReading
from workers.training.convergence import ConvergeSettings


class Settings(BaseModel):
    """Settings that are checked, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(Settings):
    """Training on crops, docs/method.md, 8."""

    crop_height: int = Field(224, ge=8)
    crop_width: int = Field(224, ge=8)
    batch: int = Field(32, ge=1)
    lr: float = Field(1e-3, gt=0)
    momentum: float = 0.95
    weight_decay: float = 1e-4
    clip: float = 4.0
    optimizer: Literal["sgd", "adamw"] = "sgd"

    def built(self) -> TrainSettings:
        """As the models take it."""
        return TrainSettings(
            crop=(self.crop_height, self.crop_width),
            batch=self.batch,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            clip=self.clip,
            optimizer=self.optimizer,
        )


class Convergence(Training):
    """Training until mIoU on D_R stops rising, or, with `steps`, for that many steps and some more for each region."""

    patience: int = Field(150, ge=1)
    max_epochs: int = Field(1000, ge=1)
    evaluate_every: int = Field(1, ge=1)
    steps: int = Field(0, ge=0)
    steps_per_region: float = Field(0.0, ge=0)

    def converge(self) -> ConvergeSettings:
        """As workers.training takes it."""
        return ConvergeSettings(
            train=self.built(),
            patience=self.patience,
            max_epochs=self.max_epochs,
            evaluate_every=self.evaluate_every,
            steps=self.steps,
            steps_per_region=self.steps_per_region,
        )


class Source(Convergence):
    """theta_pre: trained on synthetic streets, early stopping on scenes held out."""

    images: int = Field(1000, ge=0, description="Scenes; 0: theta_pre is fresh weights.")


class Refit(Settings):
    """How the head of a frozen encoder is fitted, docs/method.md, 11: steps of theta_0's fit and of full supervision's, which
    nothing else here changes (see `long`); of the first in a trajectory that starts from no label, with `lr`; of each round's
    and of the one that a budget is judged by, with `next_lr`.
    """

    theta0_steps: int = Field(1200, ge=1)
    first_steps: int = Field(400, ge=1)
    steps: int = Field(60, ge=1)
    judge_steps: int = Field(200, ge=1)
    full_steps: int = Field(3000, ge=1)
    lr: float = Field(1e-2, gt=0)
    next_lr: float = Field(3e-3, gt=0)
    balance: float = Field(0.3, ge=0, le=1)
    window: int = Field(12, ge=8)
    batch: int = Field(10, ge=1)
    noise: float = Field(0.0, ge=0)

    def built(self) -> RefitSettings:
        """As the models take it."""
        return RefitSettings(
            first_steps=self.first_steps,
            steps=self.steps,
            lr=self.lr,
            next_lr=self.next_lr,
            balance=self.balance,
            window=self.window,
            batch=self.batch,
            noise=self.noise,
            hold=0.0,  # a round's fit is short here, and should learn all it can
        )

    def long(self, steps: int) -> RefitSettings:
        """Of a fit in many steps to whole images, which larger windows and lower rates suit better: by numbers of its own."""
        return RefitSettings(
            first_steps=steps,
            lr=3e-3,
            weight_decay=1e-2,
            batch=6,
            window=16,
            balance=0.2,
            hide=0.1,
            noise=0.1,
            hold=0.0,
        )


class OwnFiles(Settings):
    """How the data set folder is read, in the words of `regionwise import`."""

    labels: str = Field("{stem}", description="How label maps are named, without suffix.")
    label_reading: str = Field("", description="How their values are read: 255=1, binary, colors, ignore-unlisted.")
    scale: str | None = Field(None, description="Of more than 8 bits: minmax, percentile, bits:N, range:LOW:HIGH.")
    ignore_strays: bool = Field(False, description="Leave out label maps that match no image.")

    @field_validator("label_reading")
    @classmethod
    def _is_read(cls, text: str) -> str:
        LabelReading.parse(text)
        return text

    def built(self) -> FolderReading:
        """As data sets take it. Raises ValueError."""
        return FolderReading(
            labels=self.labels,
            images=Reading(scale=self.scale),
            label_maps=LabelReading.parse(self.label_reading),
            strays=self.ignore_strays,
        )
