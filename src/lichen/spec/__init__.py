"""What the user wrote: frozen, checked, one noun a file."""

from lichen.spec.aggregate import Aggregate, Prior
from lichen.spec.contract import ColumnPromise, Contract
from lichen.spec.feature import FeatureView
from lichen.spec.interval import Intervals
from lichen.spec.model import GateRule, Label, Model, PredictionTime, Validation
from lichen.spec.monitor import Monitor
from lichen.spec.project import ProjectFile
from lichen.spec.reader import ProjectSpec, read_project
from lichen.spec.service import Service
from lichen.spec.source import Source
from lichen.spec.table import Table

__all__ = [
    "Aggregate",
    "ColumnPromise",
    "Contract",
    "FeatureView",
    "GateRule",
    "Intervals",
    "Label",
    "Model",
    "Monitor",
    "PredictionTime",
    "Prior",
    "ProjectFile",
    "ProjectSpec",
    "Service",
    "Source",
    "Table",
    "Validation",
    "read_project",
]
