"""What operators look up: the schema for editors and the reference pages, both made from the models and plug-ins."""
