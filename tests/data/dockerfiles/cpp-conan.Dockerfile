FROM conanio/gcc11 AS deps
USER root
COPY conanfile.txt /tmp/
RUN conan install /tmp --output-folder=/deps --build=missing
FROM deps AS build
WORKDIR project
COPY . .
RUN cmake --preset conan-release && cmake --build --preset conan-release
FROM scratch AS export
COPY --from=build /home/conan/project/build/app /
