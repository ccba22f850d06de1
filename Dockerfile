# fenshen on the CPU, as a user without rights:
#
#     docker build -t fenshen .
#     docker run --rm -v "$PWD/photos:/data:ro" -v "$PWD/runs:/home/fenshen/runs" fenshen train /data --minutes 10
#     docker run --rm -v "$PWD/runs:/home/fenshen/runs" fenshen generate NAME --grid
#
# The folder `runs` must be writable by user 1000. For an NVIDIA GPU, build where the package index offers the CUDA build of
# torch (the public one does on Linux), and add `--gpus all` to `docker run`; nothing else changes.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 fenshen
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt . && rm -rf /src

USER fenshen
WORKDIR /home/fenshen
RUN mkdir runs .cache
ENV FENSHEN_RUNS=/home/fenshen/runs FENSHEN_CACHE=/home/fenshen/.cache/fenshen
ENTRYPOINT ["fenshen"]
CMD ["--help"]
