"""BentoML's model store, which contains the models that are served.

Models are only added to the store, so it does not show which model of a name is the champion. A
small file next to the store names the champion. Each promotion and each rollback replaces the file,
and the service watches it.

Shadow models are stored under another name, so that no command can take one for a champion.
"""

import json
import os
import re
import shutil
from pathlib import Path

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from crm.errors import ArtifactError, ServiceError
from crm.files import whole_file
from models.artifact import SHOWN_DIGITS, LoadedModel, load_artifact
from serving.served_model import ServedModel
from serving.settings import home_folder

STORE_NAME = "leadscore"
SHADOW_STORE = "leadscore_shadow"


def promote_in_store(artifact: Path, name: str, version: str) -> str:
    """Put a verified model into BentoML's store, and have services take it over.

    Parameters
    ----------
    artifact : Path
        The directory that `models.artifact` wrote.
    name, version : str
        The model's name and version in the registry.

    Returns
    -------
    str
        The store's tag.

    Raises
    ------
    ArtifactError
        If the model does not load and verify.
    ServiceError
        If the store cannot be written.
    """
    tag = put_in_store(artifact, name, version)
    pointer = champion_file(name)
    try:
        _write_pointer(pointer, name, version, tag)
    except OSError as error:
        raise ServiceError(
            f"The champion cannot be written to {pointer}: {error.strerror}. The services keep "
            "their model; repair this, and run `leadscore follow --once`."
        ) from None
    return tag


def shadow_in_store(artifact: Path, name: str, version: str, wanted: str) -> str:
    """Put a verified model into BentoML's store, and have services score with it as a shadow.

    Parameters
    ----------
    artifact : Path
        The directory that `models.artifact` wrote.
    name, version : str
        The model's name and version in the registry.
    wanted : str
        What services name it: "challenger", or its version.

    Returns
    -------
    str
        The store's tag, such as `leadscore_shadow:acme-v4-15847aa0d60b`.

    Raises
    ------
    ArtifactError
        If the model does not load and verify.
    ServiceError
        If the store cannot be written.
    """
    tag = put_in_store(artifact, name, version, SHADOW_STORE)
    pointer = shadow_file(name, wanted)
    try:
        _write_pointer(pointer, name, version, tag)
    except OSError as error:
        raise ServiceError(
            f"The shadow model cannot be written to {pointer}: {error.strerror}. Services score "
            "without it."
        ) from None
    return tag


def _write_pointer(pointer: Path, name: str, version: str, tag: str) -> None:
    pointer.parent.mkdir(parents=True, exist_ok=True)
    # The service may run as another user than the one who promotes: all may read the file.
    with whole_file(pointer, mode=0o644, is_synced=True) as work:
        work.write_text(json.dumps({"name": name, "version": version, "tag": tag}))


def champion_file(name: str) -> Path:
    """Return the path of the file that names the champion of a model name."""
    return home_folder(os.environ) / "champions" / f"{_file_name(name)}.json"


def shadow_file(name: str, wanted: str) -> Path:
    """Return the path of the file that names a shadow of a model name."""
    return home_folder(os.environ) / "shadows" / _file_name(name) / f"{wanted}.json"


def _file_name(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]", "_", name)


def named_champion(name: str) -> str | None:
    """Read the tag of the champion that services should take over; None if there is none.

    Raises
    ------
    ServiceError
        If the file that names it cannot be read.
    """
    try:
        return str(json.loads(champion_file(name).read_text(encoding="utf-8"))["tag"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise ServiceError("The file that names the champion cannot be read.") from None


def named_shadow(name: str, wanted: str) -> str:
    """Read the tag of the shadow that services should score with.

    Parameters
    ----------
    name : str
        The model's name.
    wanted : str
        "challenger", or a version.

    Raises
    ------
    ServiceError
        If no such model was stored as a shadow, or the file that names it cannot be read.
    """
    try:
        return str(json.loads(shadow_file(name, wanted).read_text(encoding="utf-8"))["tag"])
    except FileNotFoundError:
        raise ServiceError(
            f"BentoML's store has no shadow {wanted!r} of `{name}`. Store it with "
            f"`leadscore serve --shadow {wanted}`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ServiceError("The file that names the shadow model cannot be read.") from None


def load_from_store(tag: str) -> ServedModel:
    """Load and verify a model of BentoML's store.

    Raises
    ------
    ArtifactError
        If it does not exist or does not verify, or if its files are those of another model than
        its tag and its metadata name.
    """
    try:
        stored = _find(tag)
    except BentoMLException:
        raise ArtifactError(f"BentoML's store has no model {tag}.") from None
    loaded = _load(stored)
    return ServedModel(loaded.scorer, str(stored.info.metadata["version"]), loaded.digest)


def stored_name(tag: str) -> str:
    """Return the name of a stored model, by which services find its project's champion.

    The model must have been loaded before, because this does not verify it.
    """
    return str(_find(tag).info.metadata["name"])


def _find(tag: str) -> bentoml.Model:
    """Find a stored model by its whole tag. BentoML also finds tags by their beginning."""
    stored = bentoml.models.get(tag)
    if Path(stored.path).name != bentoml.Tag.from_str(tag).version:
        raise NotFound(f"The store does not contain the model {tag}.")
    return stored


def _load(stored: bentoml.Model) -> LoadedModel:
    """Load a stored model, and verify that it is the one that its tag and its metadata name."""
    facts, folder = stored.info.metadata, Path(stored.path)
    if folder.name != stored.tag.version:
        raise ArtifactError(
            f"BentoML's store has the files of {stored.tag} in {folder.name}. Restore its files."
        )
    missing = [name for name in ("name", "version", "digest") if not facts.get(name)]
    of_tag = str(stored.tag.version).rpartition("-")[2]
    if missing or len(of_tag) != SHOWN_DIGITS:
        raise ArtifactError(
            f"{stored.tag} of BentoML's store was not stored by leadscore: it lacks "
            f"{', '.join(missing) or 'the digest in its tag'}. Run `leadscore build` or "
            "`leadscore follow --once`, which store the champion."
        )
    try:
        return load_artifact(folder, [of_tag, str(facts["digest"])])
    except ArtifactError as error:
        raise ArtifactError(f"{stored.tag}: {error}") from None


def put_in_store(artifact: Path, name: str, version: str, store: str = STORE_NAME) -> str:
    """Copy a verified model into BentoML's store, unless the store has it undamaged.

    Parameters
    ----------
    artifact : Path
        The directory that `models.artifact` wrote.
    name, version : str
        The model's name and version in the registry.
    store : str
        The name under which BentoML stores it: `STORE_NAME` or `SHADOW_STORE`.

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
    tag = str(bentoml.Tag(store, f"{name[:40]}-v{version}-{digest[:SHOWN_DIGITS]}"))
    try:
        _load(_find(tag))
        return tag
    except NotFound:
        pass
    except ArtifactError:
        bentoml.models.delete(tag)  # damaged or exchanged since it was copied
    except BentoMLException as error:
        raise ServiceError(f"BentoML's model store cannot be read: {error}.") from None
    facts = {"name": name, "version": version, "digest": digest}
    try:
        with bentoml.models.create(tag, labels={"leadscore": name}, metadata=facts) as entry:
            shutil.copytree(artifact, entry.path, dirs_exist_ok=True)
    except (OSError, BentoMLException) as error:
        raise ServiceError(f"The model cannot be put into BentoML's store: {error}.") from None
    return tag


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
