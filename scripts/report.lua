--- All tables and plots of the reference document in one page, runs/report/index.html, beside the document's figures.
-- Accuracies are median and range over seeds 1, 2, 3. `--quick`: seed 1 alone, and the sweeps on a tenth of the data.
local moth = require "moth"
local here = arg[0]:match("^.*/") or ""
local common = dofile(here .. "common.lua")
local options = common.options(200)
local given = table.concat(arg, " "):find("--epochs", 1, true) and options.epochs

local function dropout()
    return common.mlp { dropout = 0.3 }
end
local function l2(lambda)
    return function()
        return common.mlp { regularizer = moth.regularizers.l2(lambda) }
    end
end
local function single()
    return moth.Sequential { moth.layers.Dense { 10, input_shape = { 784 } }, moth.layers.Activation "softmax" }
end

-- title, epochs, network, optimizers one after the other, the document's accuracy, the least that is within tolerance
local experiments = {
    { "A: one layer", 200, single, { "SGD" }, 0.9227, 0.9197 },
    { "B: MLP", 20, common.mlp, { "SGD" }, 0.9468, 0.9408 },
    { "C: dropout 0.3", 20, dropout, { "SGD" }, 0.9424, 0.9344 },
    { "E: RMSprop, warm", 20, dropout, { "SGD", "RMSprop" }, 0.9777, 0.975 },
    { "F: Adam, warm", 20, dropout, { "SGD", "RMSprop", "Adam" }, 0.9805, 0.977 },
    { "E: RMSprop, fresh", 20, dropout, { "RMSprop" }, nil, 0.974 },
    { "F: Adam, fresh", 20, dropout, { "Adam" }, nil, 0.974 },
    { "H: l2 0.0001", 20, l2(1e-4), { "Adam" } },
    { "H: l2 0.001", 20, l2(1e-3), { "Adam" } },
    { "H: l2 0.01", 20, l2(1e-2), { "Adam" } },
}
local titles, data = {}, nil
for i, experiment in ipairs(experiments) do
    titles[i] = experiment[1]
end

local sweep = moth.sweep {
    name = ("report-%s%s"):format(given or "full", options.quick and "-quick" or ""),
    grid = { experiment = titles }, seeds = options.quick and { 1 } or { 1, 2, 3 },
    trial = function(p)
        data = data or { common.mnist({ quick = false }, true) }
        for _, experiment in ipairs(experiments) do
            local title, epochs, build, optimizers = table.unpack(experiment)
            if title == p.experiment then
                local model = build()
                for _, name in ipairs(optimizers) do
                    common.compile(model, moth.optimizers[name] {})
                    common.fit(model, data[1], { epochs = given or epochs, verbose = 0 })
                end
                local score = model:evaluate(data[2].x, data[2].y, { batch_size = 128, verbose = 0 })
                return { test_accuracy = score.accuracy, test_score = score.loss, params = model:count_params() }
            end
        end
    end,
}

local function escape(value)
    return (tostring(value):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- The median, least and largest test accuracy of an experiment, and its parameters; nil where no trial has ended well.
local function measured(title)
    local values, params = {}, nil
    for _, record in ipairs(sweep:records()) do
        if record.params.experiment == title and record.status == "done" then
            values[#values + 1], params = record.result.test_accuracy, record.result.params
        end
    end
    table.sort(values)
    return values[(#values + 1) // 2], values[1], values[#values], params
end

local html = {}
local function add(format, ...)
    html[#html + 1] = format:format(...)
end

add [[<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>moth: the reference document's experiments</title>
<style>body{font:16px/1.5 sans-serif;max-width:52em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:right}
td:first-child{text-align:left}.outside{background:#fdd}pre{overflow-x:auto}</style></head><body>
<h1>The reference document's experiments</h1>]]
add("<p>Test accuracy on MNIST, %s.%s</p>",
    options.quick and "seed 1 alone; the sweeps below had a tenth of the data and few epochs (--quick)"
        or "median and range of seeds 1, 2, 3",
    given and (" Every experiment had %d epochs, not the document's number."):format(given) or "")
add [[<table><tr><th>experiment</th><th>parameters</th><th>document</th><th>at least</th><th>median</th><th>range</th>
<th>verdict</th></tr>]]
for _, experiment in ipairs(experiments) do
    local title, document, least = experiment[1], experiment[5], experiment[6]
    local median, low, high, params = measured(title)
    local verdict = not median and "failed" or not least and "no figure" or median >= least and "within" or "outside"
    add('<tr class="%s"><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>',
        verdict == "failed" and "outside" or verdict:gsub(" ", "-"), escape(title), params or "",
        document and ("%.4f"):format(document) or "", least and ("%.4f"):format(least) or "",
        median and ("%.4f"):format(median) or "", median and ("%.4f to %.4f"):format(low, high) or "", verdict)
end
add [[</table><p>Warm goes on with the weights that the optimizer before it left, as in the document; the bounds of the
fresh runs are moth's own. The document has no figures for H and for the sweeps.</p>]]

local function section(title, text, one, file)
    local svg <close> = assert(io.open(file))
    add("<h2>%s</h2><p>%s</p><pre>%s</pre>\n%s", title, text, escape(one), svg:read "a")
end

local function swept(script, title, text)
    local one = dofile(here .. script .. ".lua")
    section(title, text, one, ("runs/%s.svg"):format(one.name))
end

swept("dropout_sweep", "D: dropout rate", [[The document's own sweep is broken: its rate never reaches a layer and the
model is never built again. Here each rate has a fresh model; rate 1 is chance level.]])
swept("hidden_size", "G1: hidden units", "Parameters rise steeply, and time with them.")
swept("learning_rate", "G2: learning rate", "SGD; too small learns too slowly, too large not at all.")
swept("batch_size", "G3: batch size", "SGD; smaller batches make more steps an epoch.")
swept("optimizer_sweep", "Optimizers", "Each by its defaults, from fresh weights.")
add "</body></html>"

os.execute "mkdir -p runs/report"
local file <close> = assert(io.open("runs/report/index.html", "w"))
file:write(table.concat(html, "\n"), "\n")
print "report: runs/report/index.html"
