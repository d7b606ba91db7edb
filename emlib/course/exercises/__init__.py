"""One module a topic, the only definition of its exercise: notebook, solution and every check are made of it."""

# In the order of the chapters.
TOPICS = (
    "incomplete_data",
    "mixtures",
    "why_it_climbs",
    "families",
    "kmeans",
    "pitfalls",
    "gibbs",
    "gene_counting",
    "haplotypes",
    "motifs",
    "transcripts",
    "hmm",
)
