"""Analysis: results by label, the field's statistics over them, and verdicts on claims."""
