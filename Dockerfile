# CPU image with the shipped weights:   docker build -t proteinweaver .
# CUDA 13.0 image:                      docker build -t proteinweaver --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
# Use:  docker run --rm -v "$PWD/runs:/runs" proteinweaver design --length 200 --domains 2 -n 4 -o /runs/a
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /opt/proteinweaver

# torch is the large layer and changes least.
COPY constraints.txt ./
RUN python -m pip install --extra-index-url "$TORCH_INDEX" -c constraints.txt torch

COPY pyproject.toml README.md LICENSE ./
COPY configs ./configs
COPY samplers ./samplers
COPY proteinweaver ./proteinweaver
RUN python -m pip install -c constraints.txt .

WORKDIR /runs
ENTRYPOINT ["proteinweaver"]
CMD ["info"]
