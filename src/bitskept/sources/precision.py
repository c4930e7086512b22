"""The device that a model runs on, and in which dtype."""

import torch


def resolve_device(device: str) -> torch.device:
    """The device; "auto" is the GPU if there is one."""
    return torch.device(device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def resolve_dtype(dtype: str, device: torch.device) -> str:
    """The dtype; "auto" is bfloat16 on a GPU and on a CPU with instructions for it (which is faster), else float32."""
    if dtype != "auto":
        return dtype
    instructions = torch.cpu.get_capabilities()  # such as avx512_bf16 and amx_bf16
    fast = device.type != "cpu" or any(present for name, present in instructions.items() if "bf16" in name)
    return "bfloat16" if fast else "float32"
