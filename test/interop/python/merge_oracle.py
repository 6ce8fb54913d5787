"""What the packages that others use make of model files: `merge_oracle.py COMMAND PATH`. Prints JSON."""

import hashlib
import json
import sys

import numpy as np


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def read_gguf(path):
    import gguf

    reader = gguf.GGUFReader(path)
    return {
        tensor.name: {
            "dtype": tensor.tensor_type.name,
            "shape": [int(extent) for extent in reversed(tensor.shape)],
            "sha256": digest(gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)),
        }
        for tensor in reader.tensors
    }


def quantise(path):
    import gguf

    values = np.fromfile(path, dtype=np.float32).reshape(-1, 256)
    types = ["F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"]
    return {name: digest(gguf.quants.quantize(values, gguf.GGMLQuantizationType[name])) for name in types}


def read_safetensors(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return {name: digest(tensor.float().numpy()) for name, tensor in tensors.items()}


def save_torch(path):
    import torch

    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.LayerNorm(8)).to(torch.bfloat16)
    state = model.state_dict()
    state["tied"] = state["0.weight"][2:4]
    state["parameter"] = torch.nn.Parameter(torch.randn(3, 5))
    torch.save(state, path)
    return {name: digest(tensor.detach().float().numpy()) for name, tensor in state.items()}


COMMANDS = {"gguf": read_gguf, "quantise": quantise, "safetensors": read_safetensors, "torch": save_torch}
print(json.dumps(COMMANDS[sys.argv[1]](sys.argv[2])))
