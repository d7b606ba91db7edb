"""One module a project, the only definition of it: notebook, measures and rubric are made of it."""

PROJECTS = ("phase_a_region", "motif_in_peaks", "blood_cells")
