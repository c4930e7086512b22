"""The device that a model runs on, and in which dtype."""

from typing import Any

import torch


def resolve_device(device: str) -> torch.device:
    """The device; "auto" is the GPU if there is one."""
    return torch.device(device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def resolve_dtype(dtype: str, device: str = "auto") -> str:
    """The dtype; "auto" is bfloat16 on a GPU and on a CPU with instructions for it (which is faster), else float32."""
    if dtype != "auto":
        return dtype
    instructions = torch.cpu.get_capabilities().items()  # such as avx512_bf16 and amx_bf16
    fast = resolve_device(device).type != "cpu" or any(present for name, present in instructions if "bf16" in name)
    return "bfloat16" if fast else "float32"


def round_weights(network: Any, dtype: torch.dtype) -> None:
    """Round the weights of a transformers network in float32 to a dtype. Buffers, such as the frequencies of rotary
    positions, get the dtype that transformers gives them in such a network: that is often float32.
    """
    from transformers import AutoModel

    if network.dtype == dtype:
        return
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        pattern = AutoModel.from_config(network.config, dtype=dtype, trust_remote_code=False)
    dtypes = {name: buffer.dtype for name, buffer in pattern.named_buffers()}
    for weight in network.parameters():
        weight.data = weight.data.to(dtype)
    for name, buffer in network.named_buffers():
        buffer.data = buffer.data.to(dtypes.get(name, buffer.dtype))
