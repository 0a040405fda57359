-- What moth says of itself: annotations in its source, the reference made of them, help.
local moth = require "moth"
local annotations = require "moth.annotations"
local callbacks = require "moth.callbacks"
local examples = require "moth.examples"
local help = require "moth.help"
local reference = require "moth.reference"

describe("annotations", function()
    it("are read from comments", function()
        local found, classes = annotations.read {
            ["moth.x"] = [[
--- Does it.
--- Twice.
---@usage
--- x.f(1)
---@param a integer how many
---@param b? table<string, integer>|nil more
---@return boolean ok whether
function x.f(a, b)
end

---@class moth.Thing
---@field size integer of it
local Thing = {}

--- A method.
function Thing:go()
end
]],
        }
        assert.same({
            {
                module = "moth.x", owner = "x", name = "f", is_method = false, doc = "Does it.\nTwice.",
                example = "x.f(1)", returns = "boolean ok whether",
                parameters = {
                    { name = "a", kind = "integer", doc = "how many", optional = false },
                    { name = "b", kind = "table<string, integer>|nil", doc = "more", optional = true },
                },
            },
            {
                module = "moth.x", owner = "Thing", name = "go", is_method = true, doc = "A method.", parameters = {},
            },
        }, found)
        assert.equal("moth.Thing", classes[1].name)
        assert.equal("size", classes[1].fields[1].name)
    end)
end)

describe("the reference", function()
    it("knows all that is public", function()
        local core, missing = require "moth.core", {}
        local function check(name, value)
            local entry = reference.find(value)
            if not entry or not entry.doc or entry.doc == "" then
                missing[#missing + 1] = name
            end
        end
        for name, value in pairs(moth) do
            if type(value) == "function" then
                check(name, value)
            end
            for inner, part in pairs(type(value) == "table" and value or {}) do
                if type(part) == "function" then
                    check(name .. "." .. inner, part)
                end
            end
        end
        for key, methods in pairs(core) do
            local class = key:match "^(.*)_methods$"
            for name in pairs(class and methods or {}) do
                check(class .. ":" .. name, class:sub(1, 1):upper() .. class:sub(2) .. ":" .. name)
            end
        end
        table.sort(missing)
        assert.same({}, missing)
    end)

    it("annotates nothing that is not there", function()
        local core = require "moth.core"
        local found = annotations.read { ["moth.native"] = core.sources()["moth.native"] }
        assert.is_true(#found > 40)
        for _, annotation in ipairs(found) do
            local owner = annotation.is_method and core[annotation.owner:lower() .. "_methods"] or moth
            assert.is_function(owner[annotation.name], annotation.owner .. "." .. annotation.name)
        end
    end)

    it("has the fields that objects have", function()
        local model = moth.Sequential { moth.layers.Dense { 2, input_shape = { 3 } } }
        model:compile { loss = "mse" }
        local objects = {
            ["moth.tensor"] = moth.zeros(2), ["moth.model"] = model, ["moth.layer"] = model.layers[1],
            ["moth.optimizer"] = moth.optimizers.SGD {},
        }
        for class, object in pairs(objects) do
            assert.is_true(#reference.fields(class) > 0, class)
            for _, field in ipairs(reference.fields(class)) do
                local fine, problem = pcall(function()
                    return object[field.name]
                end)
                assert.is_true(fine, tostring(problem))
            end
        end
    end)

    it("shows examples that run #slow", function()
        local count = 0
        for _, name in ipairs(reference.names()) do
            local example = reference.find(name).example
            if example then
                local model = moth.Sequential { moth.layers.Dense { 2, input_shape = { 3 } } }
                model:compile { optimizer = "sgd", loss = "mse" }
                local environment = setmetatable({ moth = moth, model = model, x = moth.randn(4, 3),
                    y = moth.randn(4, 2), print = function(...) return select("#", tostring(...)) end }, {
                    __index = function(_, key)
                        return _G[key] or moth[key]
                    end,
                })
                local run = load("return " .. example, "=" .. name, "t", environment)
                    or assert(load(example, "=" .. name, "t", environment))
                if not examples.needs_files[name] then
                    local fine, problem = pcall(run)
                    assert.is_true(fine, ("%s: %s"):format(name, tostring(problem)))
                end
                count = count + 1
            end
        end
        assert.is_true(count > 100, count)
    end)

    it("has an example, and a word on each option, for all that moth's tables hold", function()
        for _, name in ipairs(reference.names()) do
            local entry = reference.find(name)
            local is_method = name:find ":" and not examples.named[name]
            if not is_method and not name:find "^%u%a*$" then
                assert.is_truthy(entry.example, name)
            end
            for _, option in ipairs(entry.options or {}) do
                assert.is_true(option.doc ~= nil or option.kind ~= nil or option.choices ~= nil,
                    name .. "." .. option.name)
            end
            assert.is_true(#help.text(name) > 10, name)
        end
    end)
end)

describe("help", function()
    it("shows what the engine says of layers", function()
        local text = help.text(moth.layers.Dense)
        assert.matches('^layers.Dense { units, activation = "linear"', text)
        assert.matches("units +%(required%) +integer; size of the output", text)
        assert.matches("example\n    local model = moth.Sequential {", text)
        for line in text:gmatch "[^\n]+" do
            assert.is_true(#line <= 100, line)
        end
    end)

    it("shows signature, defaults and what options are for", function()
        local text = help.text(callbacks.EarlyStopping)
        assert.matches("callbacks.EarlyStopping {", text, 1, true)
        assert.matches("patience", text)
        assert.matches("val_loss", text)
    end)

    it("is found by name too, and suggests one", function()
        assert.equal(reference.find(callbacks.EarlyStopping), reference.find "callbacks.EarlyStopping")
        assert.equal(reference.find "moth.callbacks.EarlyStopping", reference.find "callbacks.EarlyStopping")
        assert.matches("did you mean 'callbacks.EarlyStopping'", help.text "callbacks.EarlyStoping")
        assert.equal("no help on a number", help.text(5))
        assert.matches("^Model:fit%(", help.text "fit")
        assert.matches("no help on 'nothing like this'", help.text "nothing like this")
    end)

    it("says how other functions are called and where they stand", function()
        -- Twice as much,
        -- and no more.
        local function twice(number, ...)
            return number * 2, ...
        end
        local text = help.text(twice)
        assert.matches("^function%(number, %.%.%.%)\n\n  Twice as much, and no more%.\n\n", text)
        assert.matches("  defined at .*reference_spec.lua:%d+$", text)
        assert.matches("^string%.rep is Lua's own", help.text(string.rep))
        assert.matches("^print is Lua's own", help.text(print))
    end)

    it("gives an overview and lists what objects offer", function()
        assert.matches("callbacks", help.text())
        assert.matches("seed", help.text(moth))
        assert.matches("EarlyStopping +Stops training when", help.text "callbacks")
        assert.matches("^layers\n", help.text(moth.layers))
        assert.matches("Dense +y = activation", help.text(moth.layers))
        assert.matches("^plot {.*xlabel.*stands below.*histogram", help.text(moth.plot))
        assert.matches("log_uniform", help.text(moth.sweep))
        assert.matches("relu_", help.text(moth.zeros(2)))
    end)
end)
