"""Formulas, artefacts and claims of each work; nothing here is imported by the stages before."""
