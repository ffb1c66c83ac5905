"""From YAML files to a checked catalogue of everything that can be made."""

from gauntlet.configuration.catalogue import Catalogue
from gauntlet.configuration.loading import load_catalogue

__all__ = ["Catalogue", "load_catalogue"]
