"""The check of the encodings of files: LC122."""

from collections.abc import Iterator

from crm.errors import SourceError
from crm.sources.source import encoding_guess
from features.record_checks.check import Finding, check
from features.record_checks.tables import ReadTables


@check("LC122", "The encoding of a file is a guess.")
def encoding_guessed(tables: ReadTables) -> Iterator[Finding]:
    """Find files that are not in UTF-8, or whose declared encoding reads unlikely words."""
    for table in tables.tables.values():
        try:
            guess = encoding_guess(table.keys, tables.project.folder)
        except SourceError:  # the file changed after it was read
            continue
        if guess is None:
            continue
        declared = table.keys.encoding
        doubt = guess.doubt_about(declared) if declared else ""
        if declared is None or doubt:
            yield Finding(
                table,
                f"Are the letters of {table.file} read right?",
                doubt or f"The file is not in UTF-8. Its encoding is a guess: {guess.readings()}",
                f'If the words are right, write `encoding = "{declared or guess.encoding}"` under '
                f"[{table.name}]. Otherwise write the right encoding, or export the file again as "
                "UTF-8.",
            )
