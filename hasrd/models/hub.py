# Copyright 2026 The hasrd authors
# Apache-2.0
"""Packed models on the Hugging Face Hub. Loading from there keeps all rules of `hasrd.load`: nothing in it is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

from hasrd.errors import UserError, first_line
from hasrd.models.package import CARD, CONFIG, DISCRIMINATOR, WEIGHTS, check_new, read_packed_config

try:
    from huggingface_hub import ModelHubMixin, snapshot_download
except ImportError:  # it comes with the extra `hub`
    snapshot_download = None

    class ModelHubMixin:
        """What is in its place where the package is not installed: one clear line."""

        def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
            """Say what is missing."""
            raise UserError(MISSING)

        push_to_hub = save_pretrained


MISSING = "the Hugging Face Hub needs the package huggingface_hub: install it, or hasrd with its extra [hub]"
# No others are fetched: what else may be there is not needed, and nothing of it is read.
FILES = [CONFIG, WEIGHTS, CARD, DISCRIMINATOR]
# No absolute path, and none with "..", is of this form.
_REPO_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def is_repo_id(name: str | Path) -> bool:
    """Whether a name can be one of a repository on the Hub, "org/name"."""
    return bool(_REPO_ID.fullmatch(str(name)))


def fetch(repo_id: str, revision: str | None = None, **options: Any) -> Path:
    """Return the folder of a packed model of the Hub, in the cache of huggingface_hub.

    Args:
        repo_id: "org/name".
        revision: Branch, tag or commit; None: the newest.
        options: Of `huggingface_hub.snapshot_download`: cache_dir, token, local_files_only, force_download.

    Raises:
        UserError: The package is not installed, there is no such repository, no way to it and nothing in the cache, or
            it is no packed model.
    """
    if snapshot_download is None:
        raise UserError(f"{repo_id}: no such folder; {MISSING}")
    try:
        folder = snapshot_download(repo_id, revision=revision, allow_patterns=FILES, **options)
    except Exception as error:  # of the package and of two libraries below it, which differ between releases
        raise UserError(f"{repo_id}: no such folder, and not to be had from the Hub ({first_line(error)})") from error
    read_packed_config(folder)
    return Path(folder)


class Pretrained(ModelHubMixin):
    """`from_pretrained`, `save_pretrained` and `push_to_hub` of a tokenizer.

    What is saved is the packed model that was loaded, or the experiment packed as by `hasrd pack`, not the tensors of
    the module: those are in a form for use.

    Attributes:
        write: Writes the packed model to a new folder; None: it was not loaded from one.
    """

    write: Callable[[Path], Any] | None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **options: Any,
    ) -> Any:
        """Load a tokenizer from the Hub, or from a folder.

        The mixin's own method reads a config.json and gives what stands there to the class; here nothing that lies in a
        repository is an option of loading.

        Args:
            pretrained_model_name_or_path: "org/name", or a folder as for `hasrd.load`.
            force_download, token, cache_dir, local_files_only, revision: As of huggingface_hub.
            options: Of `hasrd.load`: device, dtype, compile, model_file, allow_import.

        Raises:
            UserError: As of `fetch` and `hasrd.load`.
        """
        import hasrd

        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir() and is_repo_id(pretrained_model_name_or_path):
            download = {"token": token, "cache_dir": cache_dir, "force_download": force_download}
            folder = fetch(str(pretrained_model_name_or_path), revision, local_files_only=local_files_only, **download)
        return hasrd.load(folder, **options)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the packed model to a new or empty folder; with push_to_hub=True also to the Hub.

        Args:
            save_directory: The folder.
            options: Of huggingface_hub's mixin: push_to_hub, repo_id, and what `push_to_hub` takes.

        Raises:
            UserError: A folder that is not empty, a model that was not loaded from a folder, or what packing raises.
        """
        # The mixin would remove a config.json there.
        check_new(Path(save_directory))
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        if self.write is None:
            raise UserError("a tokenizer that was not loaded from a folder cannot be saved")
        self.write(Path(save_directory))
