# The swarm in a container, with CUDA from PyTorch's own wheels: the image needs no toolkit, the host a driver and the
# NVIDIA container toolkit.
#
#     docker build -t swarm .
#     docker run --rm -it --gpus all --shm-size 16g --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#         -v "$PWD:/work" -v swarm-cache:/home/researcher/.cache swarm launch --hours 8
#
# State: checked by hadolint, not built; nothing here was seen on a GPU.
#
# `/work` is the repository that is researched. It belongs to the user who builds: give the image
# your number with `--build-arg UID=$(id -u)`, or the ledger cannot be written. bubblewrap makes namespaces of its own,
# which Docker's seccomp and AppArmor profiles forbid: without the two options the sandbox is Landlock, and the launch
# says so.
FROM nvidia/cuda:12.8.1-base-ubuntu24.04

ARG UID=1000

# python3-dev and a compiler: torch.compile builds kernels. git and bubblewrap: the swarm's own needs. tini: Ray leaves
# children, and somebody has to reap them.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        bubblewrap ca-certificates g++ git python3-dev python3-venv tini \
    && rm -rf /var/lib/apt/lists/*

# Ubuntu's image has a user of its own with the number 1000.
RUN userdel --remove ubuntu \
    && useradd --create-home --uid "$UID" researcher \
    && mkdir /opt/swarm /work && chown researcher /opt/swarm /work
USER $UID
WORKDIR /opt/swarm

# The packages first: they change less often than the code.
COPY --chown=researcher pyproject.toml constraints.txt README.md ./
COPY --chown=researcher swarm/__init__.py swarm/__init__.py
RUN python3 -m venv /opt/swarm/.venv \
    && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -e .
COPY --chown=researcher . .

ENV PATH=/opt/swarm/.venv/bin:$PATH
WORKDIR /work
ENTRYPOINT ["tini", "--", "swarm"]
CMD ["doctor"]
