# Never built where it was written (no Docker there); please report what fails.
#   docker build -t unseen .
#   docker run --rm -v "$PWD/logs:/runs/logs" unseen train seed=0
#   with GPUs: docker run --rm --gpus all --shm-size 8g -v ... unseen train trainer=gpu
# A small image for machines without a GPU: docker build --build-arg INDEX=https://download.pytorch.org/whl/cpu -t unseen .
FROM python:3.11-slim
ARG INDEX=""
WORKDIR /src
COPY . .
RUN PIP_EXTRA_INDEX_URL="$INDEX" pip install --no-cache-dir -c constraints.txt '.[offline,dashboard]'
# results and downloads go below the current folder
WORKDIR /runs
ENTRYPOINT ["unseen"]
CMD ["--help"]
