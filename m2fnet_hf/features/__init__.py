"""Features of a data set: extracted once, stored, and read while a model is trained."""
