# Copyright 2026 The hasrd authors
# Apache-2.0
"""The package `hasrd`. What it needs is listed, and pinned, in tools/requirements."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
EXTRAS = ("train", "cpu", "gpu", "eval", "pesq", "hub", "onnx", "dask", "data", "demo", "dev", "bench")


def requirements(name: str) -> list[str]:
    """The requirements in tools/requirements/<name>.txt, without comments."""
    lines = read(f"tools/requirements/{name}.txt").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def read(name: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


setup(
    name="hasrd",
    version=re.search(r'__version__ = "(.+)"', read("hasrd/__init__.py"))[1],
    description="Speech tokenizers that keep what was spoken apart from how",
    long_description=read("README.md") if (ROOT / "README.md").is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="The hasrd authors",
    project_urls={
        "Paper (HASRD)": "https://arxiv.org/abs/2506.00843",
        "Paper (HAC)": "https://arxiv.org/abs/2506.15456",
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["hasrd", "hasrd.*"]),
    package_data={"hasrd": ["py.typed", "**/*.html", "**/*.css", "**/*.js", "**/*.yaml"]},
    python_requires=">=3.10,<3.14",
    install_requires=requirements("base"),
    extras_require={extra: requirements(extra) for extra in EXTRAS},
    entry_points={"console_scripts": ["hasrd = hasrd.bin.main:cli"]},
)
