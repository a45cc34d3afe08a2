// The token goes into the headers editor: {"Authorization": "Bearer …"}. A WebSocket cannot carry headers, so
// subscriptions send it when they connect.
let headers = {};
const authorization = () => Object.entries(headers).find(([name]) => name.toLowerCase() === "authorization");
const fetcher = GraphiQL.createFetcher({
  url: "/graphql",
  subscriptionUrl: (location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/graphql/ws",
  wsConnectionParams: () => (authorization() ? { authorization: authorization()[1] } : {}),
});
const remembering = (parameters, options) => {
  headers = (options && options.headers) || {};
  return fetcher(parameters, options);
};
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: remembering,
    shouldPersistHeaders: false,
    defaultQuery:
      "# Who spent what, on which model?\n{\n  usageReport(by: [AGENT, MODEL]) {\n    nodes {\n      keys { dimension value name }\n      totals { calls inputTokens outputTokens cost }\n    }\n    total { calls cost unpricedCalls }\n    position\n  }\n}\n",
  }),
);
