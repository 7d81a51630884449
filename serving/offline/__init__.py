"""Classifies more pictures than a handful: read lazily, answered on all cores, written at once.

The way of a picture: `inputs` → `processes` or `ray_data`, each with a `classifier` a core →
`answers`. Memory stays constant however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wardrobe.serving.offline.answers import Answer, Answers, OutputError
from wardrobe.serving.offline.inputs import Source, name_of, sources


@dataclass(frozen=True)
class Classified:
    """How many pictures have an answer, and how many of these are errors."""

    pictures: int
    errors: int


Engine = Callable[[Iterator[tuple[Source, int]]], Generator[list[Answer], None, None]]
Progress = Callable[[int, int | None], None]
"""Called with the number of pictures answered so far, and in all; None: unknown."""


def classify_all(
    inputs: Sequence[str], output: Path, engine: Engine, resume: bool, progress: Progress
) -> Classified:
    """Classifies all pictures of the inputs (see `inputs.sources`) into one output.

    A picture that cannot be read or is none is an answer with `error`. After an interruption,
    `resume` goes on with the first picture that has no answer.

    Raises:
        InputError: an input is not there.
        OutputError: the output cannot be written, or the inputs have changed since.
    """
    total = _count(inputs)
    with Answers(output, resume) as answers:
        with closing(engine(_unanswered(sources(inputs), answers))) as batches:
            progress(answers.done, total)
            for batch in batches:
                answers.add(batch)
                progress(answers.done, total)
        answers.finish()
    return Classified(answers.done, answers.errors)


def _count(inputs: Sequence[str]) -> int | None:
    """How many pictures there are; None where a compressed archive had to be read through."""
    total = 0
    for source in sources(inputs):
        if not source.names and not source.column and source.path.suffix != ".tar":
            return None
        total += len(source)
    return total


def _unanswered(found: Iterator[Source], answers: Answers) -> Iterator[tuple[Source, int]]:
    """Each source with the number of its first picture that has no answer yet."""
    before, done = 0, answers.done
    for source in found:
        if before >= done:
            yield source, 0
            continue
        size = len(source)
        if before + size >= done:
            answers.check_last(name_of(next(source.uploads(done - before - 1))))
        if before + size > done:
            yield source, done - before
        before += size
    if before < done:
        raise OutputError(
            f"cannot resume: {done:,} pictures are answered, and there are {before:,} now; start "
            "again without --resume"
        )
