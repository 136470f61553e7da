# syntax=docker/dockerfile:1.7
FROM python:3.12
WORKDIR /work
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    pip install -r /tmp/requirements.txt
COPY --link . .
CMD ["python", "main.py"]
