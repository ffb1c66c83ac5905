"""Run procedures on a model, chunk by chunk, so that nothing finished is ever computed twice."""
