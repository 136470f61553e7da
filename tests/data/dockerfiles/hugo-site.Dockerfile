FROM klakegg/hugo:ext AS hugo
COPY . /src
RUN hugo --minify --source /src --destination /public
FROM scratch AS site
COPY --from=hugo /public /
