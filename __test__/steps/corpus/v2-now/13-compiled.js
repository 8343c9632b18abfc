"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
const node_util_1 = require("node:util");
exports.default = defineComponent({
    async run({ steps, $ }) {
        return (0, node_util_1.isDeepStrictEqual)(steps.trigger.event.a, { b: 1 });
    },
});
