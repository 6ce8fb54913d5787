"""Runs mergekit on every recipe in a folder: NAME.yaml becomes the model out/NAME. Called by merge-goldens.ts.

`ram` came after the release: `MERGEKIT_RAM` names a copy of its file as mergekit's repository has it at RAM_COMMIT."""

import hashlib
import importlib.metadata
import json
import os
import pathlib
import runpy
import sys

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify

RAM_COMMIT = "57b95c58366dfc460ff23de20b9eb053023c7c1f"
RAM_SHA256 = "2721a6288837abeed53d2b69f9fd0ee872db1d845d0564515cf367353b2ed3ab"
ROWS, COLUMNS, DRAWS, DECILES = 32, 64, 200, 8


def statistics(method, density, epsilon):
    """How often an element is kept, by the eighth of its row's magnitudes that it is in, and what the kept are scaled by."""
    torch.manual_seed(1)
    numbers = (torch.arange(ROWS * COLUMNS, dtype=torch.int64) * 7919) % 4096
    delta = ((numbers.to(torch.float32) - 2047.5) / 4096).reshape(ROWS, COLUMNS)
    ranks = delta.abs().argsort(dim=1).argsort(dim=1) * DECILES // COLUMNS
    kept, scale = torch.zeros(DECILES, dtype=torch.float64), 0.0
    for _ in range(DRAWS):
        made = sparsify(delta, density, method, epsilon=epsilon, rescale_norm=RescaleNorm.l1)
        there = made != 0
        scale += (made[there] / delta[there]).mean().item() / DRAWS
        for eighth in range(DECILES):
            kept[eighth] += there[ranks == eighth].double().mean() / DRAWS
    return {"density": density, "epsilon": epsilon, "kept": kept.tolist(), "scale": scale}


folder = pathlib.Path(sys.argv[1])
versions = {name: importlib.metadata.version(name) for name in ["mergekit", "torch", "transformers", "numpy"]}
ram = os.environ.get("MERGEKIT_RAM")
if ram is not None:
    found = hashlib.sha256(pathlib.Path(ram).read_bytes()).hexdigest()
    if found != RAM_SHA256:
        raise SystemExit(f"MERGEKIT_RAM is not mergekit/merge_methods/ram.py of {RAM_COMMIT}")
    runpy.run_path(ram)
    versions["ram"] = f"mergekit at {RAM_COMMIT}"
failed = {}
for path in sorted(folder.glob("*.yaml")):
    config = MergeConfiguration.model_validate(yaml.safe_load(path.read_text()))
    options = MergeOptions(copy_tokenizer=False, cuda=False, random_seed=1, quiet=True, write_model_card=False)
    try:
        run_merge(config, out_path=str(folder / "out" / path.stem), options=options)
    except Exception as error:  # what mergekit cannot do is an outcome too
        failed[path.stem] = f"{type(error).__name__}: {error}"
drawn = {
    "dare_linear": statistics(SparsificationMethod.random, 0.3, 0),
    "della_linear": statistics(SparsificationMethod.della_magprune, 0.4, 0.2),
}
print(json.dumps({"versions": versions, "failed": failed, "drawn": drawn}))
