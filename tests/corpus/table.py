"""The corpus: every odd image and label map that is made here, and its outcome, in one table."""

from tests.corpus.cases import Case
from tests.corpus.damaged_pictures import DAMAGED_PICTURES
from tests.corpus.deep_pictures import DEEP_PICTURES
from tests.corpus.label_maps import LABEL_MAPS
from tests.corpus.names import NAMES
from tests.corpus.pictures import PICTURES

TABLE: tuple[Case, ...] = (*PICTURES, *DEEP_PICTURES, *DAMAGED_PICTURES, *LABEL_MAPS, *NAMES)
