FROM node:20
WORKDIR /app
COPY . .
CMD ["npm", "run", "dev"]
HEALTHCHECK CMD curl -f http://localhost:3000/ || exit 1
HEALTHCHECK --interval=1m CMD ["node", "health.js"]
CMD ["npm", "start"]
