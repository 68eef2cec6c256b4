"""Import foreign formats as workloads: request traces and plain lists of prompts."""

from engine.workloads.importers.importer import FORMATS, Imported, detect, open_import

__all__ = ["FORMATS", "Imported", "detect", "open_import"]
