"""One merge by mergekit: `run-mergekit.py RECIPE OUTPUT`, in the folder of the models. Prints what it took, imports left out."""

import json
import resource
import sys
import time

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


with open(sys.argv[1]) as file:
    config = MergeConfiguration.model_validate(yaml.safe_load(file))
options = MergeOptions(
    copy_tokenizer=False, cuda=False, lazy_unpickle=True, random_seed=1, quiet=True, write_model_card=False
)
cpu, start = cpu_seconds(), time.monotonic()
run_merge(config, out_path=sys.argv[2], options=options)
wall = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"wallSeconds": wall, "cpuSeconds": cpu_seconds() - cpu, "peakMegabytes": peak, "torch": torch.__version__}))
