"""Running studies of samplers: folders, resume, tables, figures, pages; the study of a model."""
