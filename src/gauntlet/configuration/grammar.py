"""The grammar of the configuration files, as pydantic models. Unknown keys are refused everywhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gauntlet.contracts import ARCHITECTURES, DEFENCES, PROCEDURES
from gauntlet.setting_types import NonNegativeInt, PathBelow, PositiveInt
from gauntlet.training.checkpoints import CheckpointSettings
from gauntlet.training.settings import TrainingSettings

ArchitectureEntry = Annotated[dict[str, Any], BeforeValidator(ARCHITECTURES.normalize)]
DefenceEntry = Annotated[dict[str, Any], BeforeValidator(DEFENCES.normalize)]
ProcedureEntry = Annotated[dict[str, Any], BeforeValidator(PROCEDURES.normalize)]


class Strict(BaseModel):
    """Base of every model: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UserSettings(Strict):
    """The knobs of ``config/config.yaml`` and of Snakemake's ``--config``."""

    scale: Literal["demo", "small", "full"] = "full"
    works: list[str] | None = Field(None, description="works to make; all of them if empty")
    data_root: str | None = Field(None, description="folder searched for data sets before any download")
    seed: NonNegativeInt = 0
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    jobs_per_gpu: PositiveInt = 1
    hours_per_job: PositiveInt = Field(24, description="longest run time to ask a cluster for")
    shards: PositiveInt | None = Field(
        None, description="jobs that every evaluation is cut into; chosen by their cost if empty"
    )

    @model_validator(mode="before")
    @classmethod
    def _split_works(cls, values: Any) -> Any:
        """On the command line works are written ``works=song,croce2019``."""
        if isinstance(values, dict) and isinstance(values.get("works"), str):
            names = [name.strip() for name in values["works"].split(",") if name.strip()]
            return {**values, "works": None if names in ([], ["all"]) else names}
        return values


class Normalization(Strict):
    """Per-channel statistics of the input layer, in pixel scale."""

    mean: list[float]
    std: list[float]


Labels = dict[str, str | float | int | bool]
"""Labels for tables and claims to select by; they have no influence on what is computed."""


class ModelEntry(Strict):
    """A network: how it is built, and how it is trained, where its weights are published, or both.

    With both the published weights are used where they can be had, and else it is trained in their place.
    """

    dataset: str
    architecture: ArchitectureEntry
    normalization: Normalization | None = None
    defence: DefenceEntry = Field(default_factory=lambda: DEFENCES.normalize({"name": "natural"}))
    training: TrainingSettings | None = None
    checkpoint: CheckpointSettings | None = None
    replicate: NonNegativeInt = Field(0, description="distinguishes repeated trainings of one specification")
    labels: Labels = {}

    @property
    def second_pool(self) -> str | None:
        """The data set of the second pool that a training mixes in, if there is one."""
        pool = None if self.training is None else self.training.second_pool
        return None if pool is None else pool.dataset

    def learned_splits(self) -> list[tuple[str, str]]:
        """Return data set and split of all images that a training reads."""
        further = [] if self.second_pool is None else [(self.second_pool, "train")]
        return [(self.dataset, "train"), (self.dataset, "test"), *further]

    @model_validator(mode="after")
    def _has_an_origin(self) -> ModelEntry:
        if self.training is None and self.checkpoint is None:
            raise ValueError("a model needs a training, a checkpoint, or both")
        return self


def _number_or_all(value: Any) -> Any:
    if value is None:
        raise ValueError("a number, or all; an emptied count would mean all images without a word")
    return None if value == "all" else value


Count = Annotated[
    PositiveInt | None, BeforeValidator(_number_or_all, json_schema_input_type=PositiveInt | Literal["all"])
]
"""Number of images; None stands for all of them."""


class SamplesEntry(Strict):
    """Images of a split that an evaluation works on."""

    split: str = "test"
    count: Count = Field(None, description="number of images, or all, as it is if left out")
    order: Literal["first", "random", "every"] = Field(
        "first", description="file order, a seeded permutation, or evenly spaced through the split"
    )
    offset: NonNegativeInt = Field(0, description="leading images of that order to leave out")
    correct_only: bool = Field(False, description="only images that the model classifies correctly")
    targets: Literal["none", "random", "next", "all"] = Field(
        "none",
        description="target classes: a random wrong one, the next one, or a sample for each wrong class",
    )


class EvaluationEntry(Strict):
    """Procedures run on one model over one sample of one data set."""

    model: str
    dataset: str | None = Field(None, description="the model's own data set if empty")
    samples: SamplesEntry = SamplesEntry()
    procedures: dict[str, ProcedureEntry]
    procedure_labels: dict[str, Labels] = Field({}, description="written as labels of each procedure")
    labels: Labels = {}
    chunk: PositiveInt = Field(
        100, description="images per chunk, the unit of batching, randomness and resuming"
    )
    shards: PositiveInt | None = Field(
        None, description="jobs that the samples are cut into; chosen by their cost if empty"
    )
    keep_images: NonNegativeInt = Field(0, description="leading samples whose final images are kept")
    weights: Literal["kept", "last"] = Field(
        "kept", description="of a model that chose an epoch: that epoch's, or those after the last one"
    )
    references: NonNegativeInt = Field(
        0, description="training images, as many, that procedures may start from or compare with"
    )


class Evidence(Strict):
    """Inputs of artefacts and claims; names may be patterns with ``*``."""

    evaluations: list[str] = []
    models: list[str] = []
    datasets: list[str] = Field([], description="prepared splits, as <dataset>/<split>")
    published: list[PathBelow] = []
    settings: dict[str, Any] = {}


class ArtefactEntry(Evidence):
    """One table or figure."""

    title: str
    make: str = Field(
        description="function in the chapter's tables or figures module, or module.function of the chapter"
    )


class ClaimEntry(Evidence):
    """One statement of a work that the evidence supports or contradicts."""

    statement: str
    check: str | None = Field(
        None, description="function in the chapter's claims module; the claim's name if empty"
    )
    source: str = Field("", description="number of the claim in the work's specification")
    reduced: str | None = Field(
        None, description="what is judged at this scale in place of the statement, where that is less"
    )
    untestable: str | None = Field(None, description="why the claim cannot be tested at this scale")


class Document(Strict):
    """Citation of the work."""

    author: str
    title: str
    kind: str
    year: int | None = None
    institution: str | None = None
    url: str | None = None


class WorkFile(Strict):
    """A file ``config/works/<work>/work.yaml``."""

    title: str
    document: Document
    own: list[str] = Field(
        [], description="the work's own methods, as its tables write them; pages mark them"
    )


class ChapterFile(Strict):
    """A file ``config/works/<work>/<chapter>.yaml`` after its scale was chosen and ``foreach`` unfolded."""

    models: dict[str, ModelEntry] = {}
    evaluations: dict[str, EvaluationEntry] = {}
    artefacts: dict[str, ArtefactEntry] = {}
    claims: dict[str, ClaimEntry] = {}
