ARG PYTHON=3.11
FROM python:${PYTHON} AS build
RUN python -m venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
COPY pyproject.toml poetry.lock /src/
WORKDIR /src
RUN pip install poetry==1.8.3 && poetry export -o r.txt && pip install -r r.txt
COPY src/ /src/src/
RUN pip install --no-deps .

FROM python:${PYTHON}-slim AS runtime
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
HEALTHCHECK --interval=30s --timeout=3s CMD ["python", "-m", "app.health"]
ENTRYPOINT ["python", "-m", "app"]
