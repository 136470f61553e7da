from node:20-alpine as app
workdir /app
copy . .
run npm ci
EXPOSE 3000
cmd ["node", "."]
