-- Data sets: tables in text, folders of pictures, IDX pairs. Values are those that were written into the files.
local moth = require "moth"
local support = require "tests.spec.support"
local has = support.has
local datasets = moth.datasets

local directory = support.directory()
teardown(function() support.remove(directory) end)

local path = directory .. "/t.csv"
local function table_of(text, args)
    return datasets.csv(support.write(path, text), args)
end

describe("datasets.csv", function()
    it("reads numbers, with names in the first row or without", function()
        local data = table_of "1,2.5,-3e-1\n4,+.5,6.\n"
        assert.equal("float32", data.x.dtype)
        support.close({ { 1, 2.5, -0.3 }, { 4, 0.5, 6 } }, data.x:totable(), 1e-7, "numbers")
        assert.is_nil(data.columns)
        assert.is_nil(data.y)
        data = table_of "a, b ,c\n1,2,3\n4,5,6\n"
        assert.same({ "a", "b", "c" }, data.columns)
        assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, data.x:totable())
        assert.same({ { 4, 5 } }, table_of("1,2\n4,5\n", { header = true }).x:totable())
        assert.equal("0.1", ("%.9g"):format(table_of("0.1\n").x[1][1]):sub(1, 3))
    end)

    it("takes a target by name, by place or from the end: whole numbers as int32, words as class ids", function()
        local data = table_of("size,kind,price\n1,7,2.5\n2,9,3.5\n", { target = "kind" })
        assert.same({ 7, 9 }, data.y:totable())
        assert.equal("int32", data.y.dtype)
        assert.same({ "size", "price" }, data.columns)
        assert.same({ { 1, 2.5 }, { 2, 3.5 } }, data.x:totable())
        data = table_of("1,2.5\n2,3\n", { target = 2 })
        assert.equal("float32", data.y.dtype)
        assert.same({ 2.5, 3 }, data.y:totable())
        data = table_of("5.1,3.5,setosa\n7.0,3.2, versicolor\n4.9,3.0,setosa\n", { target = -1 })
        assert.same({ 0, 1, 0 }, data.y:totable())
        assert.same({ "setosa", "versicolor" }, data.classes)
        data = table_of("a,t\n1,no\n2,yes\n", { target = "t", classes = { "yes", "no" } })
        assert.same({ 1, 0 }, data.y:totable())
        data = table_of("a,b,c\n1,2,3\n", { target = { "c", "a" } })
        assert.same({ { 3, 1 } }, data.y:totable())
        assert.same({ { 2 } }, data.x:totable())
    end)

    it("reads what others write: quotes, CR LF, a byte order mark, empty lines, other separators", function()
        local data = table_of('\xEF\xBB\xBFn,word\r\n1,"a ""b"",\nc"\r\n\r\n"2",d\r\n', { target = "word" })
        assert.same({ 'a "b",\nc', "d" }, data.classes)
        assert.same({ { 1 }, { 2 } }, data.x:totable())
        assert.same({ { 1, 2 } }, table_of("# made by hand\nx\ty\n1\t2", { delimiter = "\t", skip = 1 }).x:totable())
        assert.same({ { 3, 1 } }, table_of("1;2;3", { delimiter = ";", columns = { 3, 1 } }).x:totable())
    end)

    it("refuses what is missing, or takes a number for it", function()
        has(support.fails(function() table_of "a,b\n1,\n" end), 'line 2, column 2: expected a number, got ""')
        assert.same({ { 1, -1 }, { -1, 2 } }, table_of("a,b\n1,NA\n nan,2\n", { missing = -1 }).x:totable())
        local x = table_of("1,\n", { missing = 0 / 0 }).x[1][2]
        assert.is_true(x ~= x)
        has(support.fails(function() table_of("1,a\n1,\n", { target = 2 }) end), "some are missing")
    end)

    it("holds other types of numbers, as far as they reach", function()
        local data = table_of("label,p\n7,255\n1,0\n", { target = "label", dtype = "uint8" })
        assert.equal("uint8", data.x.dtype)
        assert.same({ { 255 }, { 0 } }, data.x:totable())
        has(support.fails(function() table_of("256\n", { dtype = "uint8" }) end), "a whole number from 0 to 255")
        has(support.fails(function() table_of("1.5\n", { dtype = "int32" }) end), "a whole number of 32 bits")
        has(support.fails(function() table_of "1e39\n" end), "a number within float32")
        has(support.fails(function() table_of "1\n0x10\n" end), "line 2, column 1: expected a number")
    end)

    it("names the line of a table that is broken", function()
        for text, message in pairs {
            ["a,b\n1,2\n1,2,3\n"] = "line 3: expected 2 fields as in the first row, got 3",
            ["a,b\n1,2\n1\n"] = "line 3: expected 2 fields as in the first row, got 1",
            ['a,b\n1,"2\n'] = "line 2: a quote is not closed",
            ['a,b\n1,"2"x\n'] = "line 2: something follows a closing quote",
            ["a,b\n1,\0\n"] = "zero bytes",
            [""] = "holds no row",
            ["\n\n"] = "holds no row",
            ["a,b\n"] = "no row of data",
        } do
            has(support.fails(function() table_of(text) end), message)
        end
    end)

    it("says what is wrong with what is asked for", function()
        local text = "alpha,b\n1,2\n"
        has(support.fails(function() table_of(text, { target = "alhpa" }) end), 'did you mean "alpha"')
        has(support.fails(function() table_of(text, { target = 3 }) end), "there is no column 3; it has 2")
        has(support.fails(function() table_of(text, { columns = { 1, "alpha" } }) end), "wanted twice")
        has(support.fails(function() table_of(text, { delimiter = ";;" }) end), "one character")
        has(support.fails(function() table_of(text, { seperator = ";" }) end), "unknown option")
        has(support.fails(function() table_of("1,2\n", { target = "a" }) end), "no row of names")
        has(support.fails(function() table_of("1,a\n", { target = 2, classes = { "b" } }) end), 'no class "a"')
        has(support.fails(function() table_of("1,a\n", { target = 2, classes = { "a", "a" } }) end), "no two the same")
        has(support.fails(function() table_of("1,7\n", { target = 2, classes = { 7 } }) end), "a list of names")
        has(support.fails(function() table_of("1,2\n", { classes = { "a" } }) end), "words of one target")
        has(support.fails(function() table_of("a,b,a\n1,2,3\n", { target = "a" }) end),
            'columns 1 and 3 are both named "a"')
        has(support.fails(function() datasets.csv() end), "path must be a text")
        has(support.fails(function() datasets.csv(directory .. "/none.csv") end), "cannot open")
        has(support.fails(function() datasets.csv(directory) end), "a directory")
        has(support.fails(function() datasets.csv "/dev/zero" end), "expected a regular file")
    end)
end)

describe("datasets.image_folder", function()
    local root = directory .. "/pictures"
    local function picture(name, value, ...)
        moth.image.save(root .. "/" .. name, moth.full({ ... }, value, { dtype = "uint8" }))
    end
    setup(function()
        os.execute(("mkdir -p %s/cat %s/ant %s/.hidden"):format(root, root, root))
        picture("cat/1.png", 10, 4, 5)
        picture("ant/b.png", 20, 4, 5)
        picture("ant/a.PNG", 30, 4, 5, 2)
        assert(io.open(root .. "/ant/notes.txt", "w")):close()
    end)

    it("takes the folders as classes, in sorted order", function()
        local data = datasets.image_folder(root .. "/")
        assert.same({ "ant", "cat" }, data.classes)
        assert.same({ 3, 4, 5, 1 }, data.x.shape)
        assert.equal("uint8", data.x.dtype)
        assert.equal("int32", data.y.dtype)
        assert.same({ 0, 0, 1 }, data.y:totable())
        assert.same({ root .. "/ant/a.PNG", root .. "/ant/b.png", root .. "/cat/1.png" }, data.paths)
        assert.same({ 30, 20, 10 }, { data.x[{ 1, 1, 1, 1 }], data.x[{ 2, 4, 5, 1 }], data.x[{ 3, 2, 2, 1 }] })
    end)

    it("brings pictures to a size and to channels", function()
        assert.same({ 3, 8, 8, 1 }, datasets.image_folder(root, { size = 8, grayscale = true }).x.shape)
        assert.same({ 3, 2, 3, 3 }, datasets.image_folder(root, { size = { 2, 3 }, channels = 3 }).x.shape)
        assert.same({ 0, 1, 1 }, datasets.image_folder(root, { classes = { "cat", "ant" } }).y:totable())
        picture("cat/2.png", 40, 4, 5, 3)
        finally(function() os.remove(root .. "/cat/2.png") end)
        local mixed = datasets.image_folder(root)
        assert.same({ 4, 4, 5, 3 }, mixed.x.shape)
        assert.same({ 10, 10, 10 }, { mixed.x[{ 3, 1, 1, 1 }], mixed.x[{ 3, 1, 1, 2 }], mixed.x[{ 3, 1, 1, 3 }] })
    end)

    it("says which picture does not fit, and what is wrong with what is asked for", function()
        picture("cat/3.png", 40, 4, 6)
        has(support.fails(function() datasets.image_folder(root) end), "cat/3.png is 4 x 6, but")
        os.remove(root .. "/cat/3.png")
        local file = assert(io.open(root .. "/cat/4.png", "w"))
        file:write("no picture"):close()
        has(support.fails(function() datasets.image_folder(root) end), "cat/4.png: not a PNG, JPEG or BMP picture")
        os.remove(root .. "/cat/4.png")
        has(support.fails(function() datasets.image_folder(root .. "/ant") end), "holds no folder")
        has(support.fails(function() datasets.image_folder(root, { classes = { "dog" } }) end),
            "/dog: cannot open: No such file")
        has(support.fails(function() datasets.image_folder(root .. "/none") end), "/none: cannot open: No such file")
        has(support.fails(function() datasets.image_folder(root .. "/cat/1.png") end), "1.png: cannot open: Not a dir")
        for _, classes in ipairs { { "cat", "cat" }, { 1 }, {}, { cat = 0 } } do
            has(support.fails(function() datasets.image_folder(root, { classes = classes }) end),
                "classes must be a list of names, no two the same")
        end
        has(support.fails(function() datasets.image_folder(root, { size = 0 }) end), "size must be")
        has(support.fails(function() datasets.image_folder(root, { channels = 2 }) end), "one of 1, 3, 4")
        has(support.fails(function() datasets.image_folder(root, { channels = 3, grayscale = true }) end), "contradict")
        has(support.fails(function() datasets.image_folder() end), "path must be a text")
    end)
end)

describe("datasets.mnist of two files", function()
    local function idx(name, ...)
        local file = assert(io.open(directory .. "/" .. name, "wb"))
        file:write(string.char(...))
        file:close()
        return directory .. "/" .. name
    end

    it("checks that labels go with the pictures and are classes", function()
        local images = idx("images", 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6)
        local labels = idx("labels", 0, 0, 8, 1, 0, 0, 0, 2, 9, 10)
        has(support.fails(function() datasets.mnist { images = images, labels = labels } end), "label 2 is 10")
        local data = datasets.mnist { images = images, labels = labels, classes = 11 }
        assert.same({ 9, 10 }, data.y:totable())
        assert.equal("int32", data.y.dtype)
        assert.same({ 2, 1, 1 }, data.x.shape)
        local one = idx("one", 0, 0, 8, 1, 0, 0, 0, 1, 9)
        has(support.fails(function() datasets.mnist { images = images, labels = one } end), "1 labels for 2 pictures")
        has(support.fails(function() datasets.mnist { images = labels, labels = one } end), "pictures must be bytes")
        has(support.fails(function() datasets.mnist { images = images } end), "images and labels go together")
        has(support.fails(function() datasets.idx() end), "path must be a text")
    end)
end)
