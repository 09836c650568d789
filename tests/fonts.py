"""Machines with only one font, for tests of layout."""

from pathlib import Path

from fontTools.ttLib import TTFont

from reports.forms import fonts

CONFIGURATION = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


def only_font(folder: Path, width: float) -> dict[str, str]:
    """Return environment variables with which fontconfig finds only one font.

    Parameters
    ----------
    folder : Path
        An empty folder, for the font and the configuration.
    width : float
        The width of the font's letters, as a multiple of the width in the font of the pages.
    """
    font = TTFont(Path(fonts.__file__).with_name("regular.ttf"))
    metrics = font["hmtx"].metrics
    for glyph, (advance, bearing) in metrics.items():
        metrics[glyph] = (round(width * advance), bearing)
    del font["GPOS"]  # the table that moves letters
    for record in font["name"].names:
        record.string = "Only Sans"
    (folder / "fonts").mkdir()
    font.save(folder / "fonts" / "only.ttf")
    configuration = folder / "fonts.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    return {"FONTCONFIG_FILE": str(configuration)}
