"""One module a topic, the only definition of its exercise: notebook, solution and every check are made of it."""

# The pages of the chapters, in the order of the book; an exercise has the number of its chapter.
CHAPTERS = (
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
    "peptides",
    "cell_types",
    "beyond",
)

# A chapter and its exercise have one name, but for these (None: there is no exercise).
OTHERWISE: dict[str, str | None] = {"beyond": "annotators"}

# Number and page of the chapter, for each exercise.
CHAPTER_OF = {
    topic: (number, page)
    for number, page in enumerate(CHAPTERS, start=1)
    if (topic := OTHERWISE.get(page, page)) is not None
}
TOPICS = tuple(CHAPTER_OF)
