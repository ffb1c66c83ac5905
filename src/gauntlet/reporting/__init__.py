"""From evaluations to tables, figures, verdicts and pages."""
