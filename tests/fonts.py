"""Sets of fonts that a machine may have."""

from pathlib import Path

from fontTools.ttLib import TTFont

from reports.forms import fonts

CONFIGURATION = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


def only_font(folder: Path, width: float) -> dict[str, str]:
    """Return environment variables with which fontconfig knows one font.

    Parameters
    ----------
    folder : Path
        An empty folder, for the font and the configuration.
    width : float
        The width of its letters, as a multiple of those of the font that pages bring.
    """
    font = TTFont(Path(fonts.__file__).with_name("regular.ttf"))
    metrics = font["hmtx"].metrics
    for glyph, (advance, bearing) in metrics.items():
        metrics[glyph] = (round(width * advance), bearing)
    del font["GPOS"]  # it moves letters too
    for record in font["name"].names:
        record.string = "Only Sans"
    (folder / "fonts").mkdir()
    font.save(folder / "fonts" / "only.ttf")
    configuration = folder / "fonts.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    return {"FONTCONFIG_FILE": str(configuration)}
