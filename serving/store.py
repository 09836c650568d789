"""BentoML's model store: where a champion goes to be served, and what a Bento pins."""

import re
import shutil
from pathlib import Path

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from crm.errors import ServiceError
from models.artifact import load_artifact

STORE_NAME = "leadscore"


def put_in_store(artifact: Path, name: str, version: str) -> str:
    """Copy a verified model into BentoML's store; do nothing if it is there already.

    Parameters
    ----------
    artifact : Path
        The directory that `models.artifact` wrote.
    name, version : str
        As the registry has them.

    Returns
    -------
    str
        The store's tag, such as `leadscore:acme-v3-15847aa0d60b`.

    Raises
    ------
    ArtifactError
        If the model does not load and verify.
    ServiceError
        If the store cannot be written.
    """
    digest = load_artifact(artifact).digest
    tag = bentoml.Tag(STORE_NAME, f"{name[:40]}-v{version}-{digest[:12]}")
    try:
        if bentoml.models.get(tag).tag == tag:
            return str(tag)
    except NotFound:
        pass
    except BentoMLException as error:
        raise ServiceError(f"BentoML's model store cannot be read: {error}.") from None
    facts = {"name": name, "version": version, "digest": digest}
    try:
        with bentoml.models.create(tag, labels={"leadscore": name}, metadata=facts) as entry:
            shutil.copytree(artifact, entry.path, dirs_exist_ok=True)
    except (OSError, BentoMLException) as error:
        raise ServiceError(f"The model cannot be put into BentoML's store: {error}.") from None
    return str(tag)


def build_bento(folder: Path, tag: str) -> str:
    """Pack the service with one pinned model into a Bento, without the network.

    Parameters
    ----------
    folder : Path
        The project's top folder, with `bentofile.yaml`.
    tag : str
        A model in BentoML's store, from `put_in_store`.

    Returns
    -------
    str
        The Bento's tag.

    Raises
    ------
    ServiceError
        If it cannot be built.
    """
    version = tag.partition(":")[2]
    try:
        try:
            bento = bentoml.bentos.get(f"{STORE_NAME}:{version}")
            bentoml.bentos.delete(bento.tag)  # same model, perhaps newer code
        except NotFound:
            pass
        built = bentoml.bentos.build_bentofile(
            str(folder / "bentofile.yaml"),
            build_ctx=str(folder),
            version=version,
            args={"model": tag},
        )
    except BentoMLException as error:
        raise ServiceError(f"The Bento cannot be built: {error}.") from None
    return str(built.tag)


def newest_bento(name: str) -> tuple[str, Path]:
    """Find the Bento of a model name that was built last.

    Returns
    -------
    str
        Its tag.
    Path
        Its folder.

    Raises
    ------
    ServiceError
        If there is none.
    """
    pattern = re.compile(rf"{re.escape(name[:40])}-v.*")
    built = [
        bento
        for bento in bentoml.list()
        if bento.tag.name == STORE_NAME and pattern.fullmatch(bento.tag.version or "")
    ]
    if not built:
        raise ServiceError(
            f"No Bento of `{name}` has been built. Build one with `leadscore build`."
        )
    newest = max(built, key=lambda bento: bento.info.creation_time)
    return str(newest.tag), Path(newest.path)
