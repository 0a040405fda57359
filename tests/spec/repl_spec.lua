-- The parts of the prompt that need no terminal; the whole of it is driven by tests/pty.
local moth = require "moth"
local callbacks = require "moth.callbacks"
local annotations = require "moth.annotations"
local chunk = require "moth.chunk"
local complete = require "moth.complete"
local edit = require "moth.edit"
local examples = require "moth.examples"
local help = require "moth.help"
local highlight = require "moth.highlight"
local hints = require "moth.hints"
local history = require "moth.history"
local lexer = require "moth.lexer"
local members = require "moth.members"
local pretty = require "moth.pretty"
local reference = require "moth.reference"

local function texts(source)
    local found = {}
    for i, token in ipairs(lexer.tokens(source)) do
        found[i] = token.kind .. ":" .. token.text
    end
    return found
end

describe("lexer", function()
    it("cuts text into tokens", function()
        assert.same({ "keyword:local", "name:x_1", "op:=", "number:0x1p-3", "op:..", "string:'a\\'b'", "comment:-- c" },
            texts "local x_1 = 0x1p-3 .. 'a\\'b' -- c")
        assert.same({ "number:3", "op:..", "number:2" }, texts "3 .. 2")
        assert.same({ "number:1e+5", "op:-", "number:2" }, texts "1e+5-2")
        assert.same({ "op:::", "name:a", "op:::", "op:...", "op://", "op:~=" }, texts "::a:: ... // ~=")
        assert.same({ "string:[==[ a ]] \n ]==]", "comment:--[[ b\n]]", "name:c" },
            texts "[==[ a ]] \n ]==] --[[ b\n]] c")
    end)

    it("marks what does not end", function()
        local function last_is_open(source)
            local tokens = lexer.tokens(source)
            return tokens[#tokens].open == true
        end
        assert.is_true(last_is_open "'abc")
        assert.is_true(last_is_open "[[abc\nx")
        assert.is_true(last_is_open "--[==[ abc ]]")
        assert.is_false(last_is_open "'abc'")
        assert.is_false(last_is_open "-- abc")
        assert.is_false(last_is_open "'a\\z \n b'")
    end)

    it("covers every byte of any text once", function()
        -- A fixed pseudo-random walk over awkward pieces; positions must only grow.
        local pieces = { "'", '"', "[[", "]]", "--", "\\", "\n", "=", "[=[", "1e", ".5", "x", " ", "\255", "\0", "end" }
        local state = 7
        for _ = 1, 300 do
            local parts = {}
            for i = 1, 12 do
                state = (state * 1103515245 + 12345) % 2147483648
                parts[i] = pieces[state // 65536 % #pieces + 1]
            end
            local text, at = table.concat(parts), 1
            for _, token in ipairs(lexer.tokens(text)) do
                assert.is_true(token.start >= at and token.stop >= token.start)
                assert.is_nil(text:sub(at, token.start - 1):find "%S")
                at = token.stop + 1
            end
            assert.is_true(at <= #text + 1)
        end
    end)
end)

describe("chunk", function()
    local session

    before_each(function()
        session = chunk.session()
    end)

    local function run(text)
        local compiled, message = session:compile(text)
        if not compiled then
            error(message, 0)
        end
        return compiled.run()
    end

    it("shows what an expression gives, with or without =", function()
        assert.equal(3, run "1 + 2")
        assert.same({ 1, 2 }, { run "1, 2" })
        assert.equal(4, run "return 4")
    end)

    it("keeps top-level locals", function()
        run "local x, y <const> = 1, 2"
        run "local function f() x = x + 1 return x end"
        assert.equal(2, run "f()")
        assert.same({ 2, 2 }, { run "x, y" })
        assert.is_nil(rawget(_G, "x"))
        run "x = 10"
        assert.equal(11, run "f()")
        assert.is_nil(rawget(_G, "x"))
    end)

    it("keeps the locals that were set before an error", function()
        assert.has_error(function()
            run "local before = 5; error 'stop'; local after = 6"
        end)
        assert.equal(5, run "before")
        assert.is_nil(run "after")
    end)

    it("leaves inner locals alone", function()
        run "do local inner = 1 end for i = 1, 2 do local loop = i end if true then local branch = 1 end"
        run "local t = { f = function() local deep = 3 return deep end }"
        assert.equal(3, run "t.f()")
        assert.same({ "t" }, session:names())
    end)

    it("gives declarations without value nil, also those of before", function()
        run "local x = 1"
        run "local x"
        assert.is_nil(run "x")
        run "local a (function() end)()"
        assert.is_nil(run "a")
    end)

    it("lets a local start as the global of its name", function()
        run "local print = print"
        assert.equal(print, run "print")
        run "local tostring = function(x) return tostring end"
        assert.equal("function", type(run "tostring(1)"))
    end)

    it("closes a to-be-closed variable at the end of its chunk", function()
        run "closed = 0"
        run "local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end })"
        assert.equal(1, run "closed")
        assert.is_nil(run "x")
        rawset(_G, "closed", nil)
    end)

    it("does not take the last result for a local", function()
        run "local _, second = 1, 2"
        assert.same({ "second" }, session:names())
        rawset(_G, "_", nil)
    end)

    it("keeps lines in messages and blames the right text", function()
        local _, message = pcall(run, "\n\nlocal q = nil + 1")
        assert.matches("^stdin:3: ", message)
        _, message = pcall(run, "1 +* 2")
        assert.equal("stdin:1: unexpected symbol near '*'", message)
        _, message = pcall(run, "foo bar")
        assert.equal("stdin:1: syntax error near 'bar'", message)
        _, message = pcall(run, "end")
        assert.matches("near 'end'", message)
    end)

    it("knows when text goes on", function()
        for _, text in ipairs { "x =", "1 +", "for i = 1, 2 do", "f(", "s = [[a", "if x then y() else", "function f(a",
            "layers.Dense {", "--[[", "x = 'a\\" } do
            assert.is_true(chunk.is_incomplete(text .. "\n"), text)
        end
        for _, text in ipairs { "", "x", "x = 1", "end", "x = 'a", "return", "1 +* 2", "-- c", "f()" } do
            assert.is_false(chunk.is_incomplete(text .. "\n"), text)
        end
    end)

    it("names the line of what an expression raises", function()
        for _, text in ipairs { "layers.Dense { 3, activaton = 1 }", "layers.Dense { 3, activaton = 1 };" } do
            session:compile("local layers = ...").run(moth.layers)
            local fine, problem = pcall(session:compile(text).run)
            assert.is_false(fine)
            assert.matches("^stdin:1: Dense: unknown option", problem)
        end
        assert.same({ 1, nil, 3, n = 3 }, table.pack(session:compile("1, nil, 3 -- three").run()))
    end)

    it("is silent after a semicolon", function()
        assert.is_true(session:compile("1;").is_silent)
        assert.is_false(session:compile("1").is_silent)
    end)

    it("runs a hundred thousand lines without growing #slow", function()
        run "local kept = {}"
        local function lines(count)
            for i = 1, count do
                run("kept[1] = { " .. i .. " }")
            end
            collectgarbage()
            return collectgarbage "count"
        end
        local before = lines(1000)
        assert.is_true(lines(100000) - before < 64) -- KiB
    end)
end)

describe("Enter", function()
    local function press(text, cursor)
        local new, at, _, runs = edit.enter(text, cursor or #text)
        return runs and "run" or new, at
    end

    it("runs what is complete, else goes on indented", function()
        assert.equal("run", press "x = 1")
        assert.same({ "for i = 1, 2 do\n    ", 20 }, { press "for i = 1, 2 do" })
        assert.equal("f({\n    ", press "f({")
        assert.equal("function f()\n    if x then\n        ", press "function f()\n    if x then")
    end)

    it("moves a line that closes a block back", function()
        assert.equal("do\n    if x then\n        y()\n    else\n        ",
            press "do\n    if x then\n        y()\n        else")
        assert.equal("do\n    if x then\n    end\n    ", press "do\n    if x then\n        end")
        assert.equal("f {\n    a = {\n    },\n    ", press "f {\n    a = {\n        },")
        local text = edit.enter("for i = 1, 2 do\n    print(i)\n    end", 39)
        assert.equal("for i = 1, 2 do\n    print(i)\nend", text)
    end)

    it("adds and moves nothing in what is pasted", function()
        assert.equal("for i = 1, 2 do\n", (edit.enter("for i = 1, 2 do", 15, true)))
        assert.equal("do\n    x = {\n    }\n", (edit.enter("do\n    x = {\n    }", 18, true)))
        assert.is_true(select(4, edit.enter("x = 1", 5, true)))
    end)

    it("adds no blanks inside a long string", function()
        assert.equal("s = [[\n", press "s = [[")
        assert.equal("do s = [[\n    a\n", press "do s = [[\n    a")
    end)

    it("breaks the line at the cursor", function()
        assert.same({ "f(1,\n    \n2", 9 }, { press("f(1,\n2", 4) })
    end)
end)

describe("colours", function()
    it("are one style for each byte", function()
        local text = "local s = 'a' -- é\nreturn nil, 0x1F"
        local classes = highlight.classes(text)
        assert.equal(#text, #classes)
        assert.equal("kkkkk     sss cc", classes:sub(1, 16))
        assert.equal("kkkkkk nnn  nnnn", classes:sub(-16))
    end)

    it("mark the bracket that belongs to the one before the cursor", function()
        assert.equal(" m      m", highlight.classes("f((a), b)", 9))
        assert.is_nil(highlight.classes("f(a]", 4):find "m")
    end)

    it("are left out for texts that are too long", function()
        assert.is_nil(highlight.classes(("x"):rep(100000)))
    end)
end)

describe("pretty", function()
    it("shows scalars as source", function()
        assert.equal('"a\\n\\"\\\\\\0273"', pretty.quote 'a\n"\\\0273')
        assert.equal('"é"', pretty.format "é")
        assert.equal('"\\255"', pretty.format "\255")
        assert.equal("two\nlines", pretty.format "two\nlines")
        assert.equal("1.5", pretty.format(1.5))
        assert.equal("nil", pretty.format(nil))
    end)

    it("puts small tables on a line, keys sorted", function()
        assert.equal('{ 1, 2, a = { b = {} }, z = "s", [true] = 1 }',
            pretty.format { 1, 2, z = "s", a = { b = {} }, [true] = 1 })
    end)

    it("spreads large ones and aligns their keys", function()
        local text = pretty.format({ short = ("x"):rep(40), much_longer = ("y"):rep(40) })
        assert.equal(("{\n    much_longer = %q,\n    short       = %q,\n}"):format(("y"):rep(40), ("x"):rep(40)), text)
    end)

    it("aligns lists of lists and fills lines with numbers", function()
        local rows = {}
        for i = 1, 12 do
            rows[i] = { i, i * i * i }
        end
        assert.matches("\n    {  1,    1 },\n    {  2,    8 },", pretty.format(rows))
        local numbers = {}
        for i = 1, 50 do
            numbers[i] = i * 100
        end
        for line in pretty.format(numbers, 60):gmatch "[^\n]+" do
            assert.is_true(#line <= 60)
        end
    end)

    it("abridges and survives cycles and deep tables", function()
        local list = {}
        for i = 1, 1000 do
            list[i] = i
        end
        assert.matches("… 940 more", pretty.format(list))
        local cycle = { 1 }
        cycle.self = cycle
        assert.equal("{ 1, self = <cycle> }", pretty.format(cycle))
        local deep = {}
        for _ = 1, 1000 do
            deep = { deep }
        end
        assert.matches("{…}", pretty.format(deep))
    end)

    it("lets objects speak for themselves, even where they fail", function()
        local good = setmetatable({}, { __tostring = function() return "an object" end })
        local bad = setmetatable({}, { __tostring = function() error "no" end })
        assert.equal("{ an object }", pretty.format { good })
        assert.equal("<table: error in __tostring>", pretty.format(bad))
    end)

    it("runs no code of the tables it shows", function()
        local trap = setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })
        assert.equal("{ 1 }", pretty.format(trap))
    end)
end)

describe("views", function()
    local views = require "moth.views"

    it("show a model as its table of layers", function()
        local model = moth.Sequential { moth.layers.Dense { 2, input_shape = { 3 } } }
        assert.matches("Total params: 8", views["moth.model"](model))
        assert.matches("Sequential", views["moth.model"](moth.Sequential {}))
    end)

    it("show a history by its epochs, abridged", function()
        local record = callbacks.History()
        assert.matches("0 epochs", views["callbacks.History"](record))
        record.history = { loss = {}, val_loss = {} }
        for i = 1, 20 do
            record.epoch[i], record.history.loss[i], record.history.val_loss[i] = i, 1 / i, 2 / i
        end
        local text = views["callbacks.History"](record)
        assert.matches("^epoch +loss +val_loss\n +1 +1%.0000 +2%.0000\n", text)
        assert.matches("\n +20 +0%.0500 +0%.1000$", text)
        assert.is_nil(text:find("\n   10 "))
        local _, breaks = text:gsub("\n", "")
        assert.equal(13, breaks)
    end)
end)

describe("completion", function()
    local session = chunk.session()
    session:compile("local telescope = { lens = 5, look = function() end, _private = 1 }").run()
    session:compile("local name = 'x'").run()

    local function tab(text, cursor)
        local new, at, list = complete.tab(text, cursor or #text, session)
        return new, at, list and list:gsub("%s+", " ")
    end

    it("completes locals, globals, fields and methods", function()
        assert.equal("telescope", (tab "teles"))
        assert.equal("print(telescope.lens", (tab "print(telescope.le"))
        assert.equal("telescope.look(", (tab "telescope.loo"))
        assert.same({ "telescope.l", 11, "lens look" }, { tab "telescope." })
        assert.equal("telescope:look(", (tab "telescope:"))
        assert.equal("name:reverse(", (tab "name:rev"))
        assert.equal("('x'):reverse(", (tab "('x'):rev"))
        assert.equal("string.format(", (tab "string.form"))
    end)

    it("does not mind the case where nothing else fits", function()
        assert.equal("telescope.lens", (tab "telescope.LEN"))
    end)

    it("hides private names until they are asked for", function()
        assert.equal("telescope._private", (tab "telescope._"))
    end)

    it("knows keywords and names of the chunk that is typed", function()
        assert.equal("local wavelength = 1 print(wavelength", (tab "local wavelength = 1 print(wavel"))
        assert.equal("function f(parameter) return parameter", (tab "function f(parameter) return param"))
        assert.equal("repeat", (tab "repea"))
    end)

    it("completes in the middle and does not double what follows", function()
        assert.same({ "string.format('%d')", 13 }, { tab("string.form('%d')", 11) })
    end)

    it("indents at the start of a line", function()
        assert.same({ "do\n    ", 7 }, { tab "do\n" })
    end)

    it("completes file names in strings", function()
        assert.equal("io.open('tests/spec/repl_spec.lua'", (tab "io.open('tests/spec/repl_s"))
        assert.equal('moth.x "tests/', (tab 'moth.x "test'))
    end)

    it("leaves comments, numbers and the unknown alone", function()
        assert.is_nil(tab "-- tel")
        assert.is_nil(tab "12")
        assert.is_nil(tab "nothing_like_this.x")
        assert.is_nil(tab "f().")
    end)

    it("knows what calls return", function()
        session:compile("local moth, layers = ...").run(moth, moth.layers)
        assert.equal("moth.zeros(2, 3):unsqueeze(", (tab "moth.zeros(2, 3):unsq"))
        assert.equal("moth.zeros(2, 3):matmul(x):sum(1):reshape(", (tab "moth.zeros(2, 3):matmul(x):sum(1):resh"))
        assert.equal("moth.Sequential({}):summary(", (tab "moth.Sequential({}):summ"))
        assert.equal("layers.Dense { 1 }.trainable", (tab "layers.Dense { 1 }.traina"))
        assert.is_nil(tab "layers.Dense { 1 }:traina")
        assert.is_nil(tab "tostring(1):rep(2):nothing")
    end)

    it("knows the options of methods and the values of options", function()
        session:compile("local layers, net = ...").run(moth.layers, moth.Sequential {})
        assert.equal("net:fit(x, y, { validation_split = ", (tab "net:fit(x, y, { validation_sp"))
        assert.equal('layers.Dense { 1, activation = "sigmoid"', (tab 'layers.Dense { 1, activation = "sigm'))
        assert.equal('layers.Activation "sigmoid"', (tab 'layers.Activation "sigm'))
        assert.equal('help "layers.Dropout"', (tab 'help "layers.Drop'))
        assert.equal("layers.Dropout { ", (tab "layers.Dropo"))
        assert.equal("net:summary(", (tab "net:summ"))
    end)

    it("knows the options of constructors", function()
        session:compile("local callbacks = ...").run(callbacks)
        local _, _, list = tab "callbacks.EarlyStopping { "
        assert.matches("patience", list)
        assert.equal("callbacks.EarlyStopping { patience = ", (tab "callbacks.EarlyStopping { pat"))
        assert.equal("callbacks.EarlyStopping({ patience = 1, monitor = ",
            (tab "callbacks.EarlyStopping({ patience = 1, moni"))
        _, _, list = tab "callbacks.EarlyStopping { patience = 3, "
        assert.is_nil(list:find "patience")
    end)
end)

describe("members", function()
    it("follows __index tables and survives loops of them", function()
        local a, b = { x = 1 }, { y = 2 }
        setmetatable(a, { __index = b })
        setmetatable(b, { __index = a })
        assert.same({ "x", "y" }, members.names(a))
        assert.is_nil(members.get(nil, "x"))
    end)
end)

describe("hints", function()
    local session = chunk.session()
    session:compile("local model = { fit = function() end }").run()

    it("suggest variables, fields and methods", function()
        assert.equal("there is no variable 'modle'; did you mean 'model'?",
            hints.for_error("stdin:1: attempt to index a nil value (global 'modle')", "modle:fit()", session))
        assert.equal("'model' has no 'fti'; did you mean 'fit'?",
            hints.for_error("stdin:1: attempt to call a nil value (method 'fti')", "model:fti()", session))
        assert.equal("'string' has no 'formt'; did you mean 'format'?", hints.for_nil("string.formt", session))
        assert.equal("there is no variable 'modl'; did you mean 'model'?", hints.for_nil("modl", session))
    end)

    it("say nothing where nothing is near or the name exists", function()
        assert.is_nil(hints.for_nil("zzzzzz", session))
        assert.is_nil(hints.for_nil("model.fit()", session))
        assert.is_nil(hints.for_error("stdin:1: boom", "x", session))
    end)
end)

describe("history", function()
    it("keeps chunks of several lines in a file, once", function()
        local path = os.tmpname()
        local getenv = os.getenv
        os.getenv = function(name) -- luacheck: ignore 122
            return name == "MOTH_HISTORY" and path or getenv(name)
        end
        finally(function()
            os.getenv = getenv -- luacheck: ignore 122
            os.remove(path)
        end)
        local remembered = {}
        local past = history.open(function(text)
            remembered[#remembered + 1] = text
        end)
        local block = "for i = 1, 2 do\n    print 'a\\n'\nend"
        past:add(block)
        past:add(block)
        past:add(" secret")
        past:add("1 + 1\n")
        assert.same({ block, "1 + 1" }, remembered)
        local again = {}
        history.open(function(text)
            again[#again + 1] = text
        end)
        assert.same(remembered, again)
    end)
end)

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
        assert.matches("  defined at .*repl_spec.lua:%d+$", text)
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
